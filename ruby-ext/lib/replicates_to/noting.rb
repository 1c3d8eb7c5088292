# frozen_string_literal: true

module ReplicatesTo
  # What a write of one row leaves behind: a note on the current transaction.
  module Noting
    THREAD_KEY = :replicates_to_disabled

    module_function

    # @return [Boolean] whether writes of this thread are noted
    def on?
      !off? && ReplicatesTo.config["enabled"]
    end

    # @return [Boolean] whether this thread is inside `disabled { }`
    def off?
      Thread.current.thread_variable_get(THREAD_KEY).to_i.positive?
    end

    # @yield writes that are not noted; nests
    def without
      depth = Thread.current.thread_variable_get(THREAD_KEY).to_i
      Thread.current.thread_variable_set(THREAD_KEY, depth + 1)
      yield
    ensure
      Thread.current.thread_variable_set(THREAD_KEY, depth)
    end

    # @return [void]
    def inserted(model, primary_key)
      note(model, primary_key, "create")
    end

    # A row whose primary key changed is two rows to a consumer: the new one, and one that is gone. A row whose
    # single-table-inheritance class changed may belong to other destinations now, so every class that declares its own
    # is noted.
    #
    # @return [void]
    def updated(model, values, primary_key)
      note(model, primary_key, "update")
      renamed = values.fetch(model.primary_key, primary_key)
      note(model, renamed, "create", "update") unless renamed == primary_key
      return unless values.key?(model.inheritance_column)

      siblings(model).each { |sibling| note(sibling, renamed, "update") }
    end

    # @return [void]
    def deleted(model, primary_key)
      note(model, primary_key, "delete")
    end

    # A row that nobody wrote, but whose lock is held.
    #
    # @param base [Class] base class of its table
    # @param class_name [String, nil] the row's own class, if that is replicated
    # @param destinations [Array<String>, nil] nil: all
    # @return [Boolean] whether it was noted
    def requested(base, class_name, primary_key, destinations)
      return false unless class_name

      add(base, Note.new(model: class_name, primary_key: PrimaryKey.dump(base, primary_key), operation: "update",
                         origin: Origin.current, destinations: destinations))
      true
    end

    # @api private
    # @return [void]
    def add(model, note)
      RailsPrivate.notes_of(model).add(model, note)
    end

    # @param change [String] the operation, as the row's dependants see it
    def note(model, primary_key, operation, change = operation)
      return unless on? && model.noted? && !Triggers.on?

      raise MappingError, PrimaryKey.missing(model) unless model.primary_key.is_a?(String)

      if model.replicates?
        add(model, Note.new(model: model.name, primary_key: PrimaryKey.dump(model, primary_key), operation: operation,
                            origin: Origin.current))
      end
      FanOut.changed(model, primary_key, change)
    end
    private_class_method :note

    def siblings(model)
      [model.base_class, *model.base_class.descendants].select do |sibling|
        sibling != model && sibling.respond_to?(:noted?) && sibling.noted?
      end
    end
    private_class_method :siblings
  end
end
