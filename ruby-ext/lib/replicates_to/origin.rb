# frozen_string_literal: true

module ReplicatesTo
  # Whose record the writes of this thread apply. They are not published to the destination of that name, so that a change
  # which went from A to B does not come back to A.
  module Origin
    THREAD_KEY = :replicates_to_origin
    SOURCE = /\A[a-z][a-z0-9_-]{0,62}\z/

    module_function

    # @return [String, nil]
    def current
      Thread.current.thread_variable_get(THREAD_KEY)
    end

    # @param source [String, Symbol] name of an application
    # @yield writes that carry it, wherever they commit; nests
    # @return [Object] the block's value
    # @raise [ArgumentError] when no application can have that name
    def within(source)
      name = source.to_s
      raise ArgumentError, "origin #{name.inspect} must match [a-z][a-z0-9_-]{0,62}" unless SOURCE.match?(name)

      outer = current
      begin
        Thread.current.thread_variable_set(THREAD_KEY, name)
        yield
      ensure
        Thread.current.thread_variable_set(THREAD_KEY, outer)
      end
    end

    # Destination names have no dash.
    #
    # @param origin [String, nil] of a change
    # @param destination [Symbol]
    # @return [Boolean] whether the change came from that destination
    def of?(origin, destination)
      !origin.nil? && origin.tr("-", "_") == destination.to_s
    end
  end
end
