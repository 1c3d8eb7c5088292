# frozen_string_literal: true

module ReplicatesTo
  # One `republishes :association, …` line: whose rows are published again when a row of its model changed.
  class Republication
    KEYWORDS = %i[if unless].freeze
    SAVED_CHANGE = /\Asaved_change_to_(\w+)\?\z/

    # @return [Symbol]
    attr_reader :association

    # @param owner [Class] the model
    # @param association [Symbol] which may be declared later than this line
    # @param options [Hash{Symbol => Symbol, #call}] `if`, `unless`
    # @raise [DeclarationError]
    def initialize(owner, association, options)
      @owner = owner
      @association = association
      validate(options)
      @if, @unless = options.values_at(:if, :unless)
      freeze
    end

    # @return [Boolean] whether somebody has to be asked
    def conditional?
      !(@if.nil? && @unless.nil?)
    end

    # A statement that does not assign this column need not ask anybody.
    #
    # @param model [Class] the owner, or a subclass of it
    # @return [String, nil] whose change alone is waited for: `if: :saved_change_to_name?`, as Rails answers it
    def column(model)
      name = @if.is_a?(Symbol) && @if[SAVED_CHANGE, 1]
      name if name && model.columns_hash.key?(name) && RailsPrivate.generated?(model, @if)
    end

    # @param record [ActiveRecord::Base] that was just saved
    # @return [Boolean] what its condition says
    def wanted?(record)
      (@if.nil? || ask(@if, record)) && (@unless.nil? || !ask(@unless, record))
    end

    private

    def validate(options)
      refuse "a model needs a name before republishes" if @owner.name.nil?
      refuse "republishes takes the name of an association, not #{@association.inspect}" unless @association.is_a?(Symbol)

      unknown = (options.keys - KEYWORDS).first
      refuse "republishes :#{@association} does not know #{unknown}:#{Nearest.hint(unknown, KEYWORDS, suffix: ':')}" if unknown
      options.each do |keyword, condition|
        next if condition.nil? || condition.is_a?(Symbol) || condition.respond_to?(:call)

        refuse "#{keyword}: takes a Symbol or a callable, not #{condition.inspect}"
      end
    end

    # Private methods may be named, as in Rails' own callbacks.
    def ask(question, record)
      question.respond_to?(:call) ? question.call(record) : record.send(question)
    end

    def refuse(message)
      raise DeclarationError, "#{@owner.name || 'an anonymous class'}: #{message}"
    end
  end
end
