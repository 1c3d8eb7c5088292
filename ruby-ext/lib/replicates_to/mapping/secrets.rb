# frozen_string_literal: true

module ReplicatesTo
  class Mapping
    # Which attributes of a model must not be seen in a log: the encrypted ones, and those that ActiveSupport's
    # ParameterFilter would mask, by its own rules: parts of names, patterns, blocks, and paths into nested values.
    class Secrets
      SHOWN = "shown"
      # Names joined by dots, as the source of a pattern says them.
      PATH = /[\w-]+(?:\\\.[\w-]+)+/
      # Types of columns whose values have names inside.
      NESTED = %i[json jsonb hstore].freeze

      # @param model [Class]
      def initialize(model)
        @model = model
        @filter = ActiveSupport::ParameterFilter.new(model.filter_attributes)
        @encrypted = RailsPrivate.encrypted_attributes(model)
        @paths = paths(model.filter_attributes)
      end

      # @param name [String] an attribute, or a store accessor, which is as secret as what its store holds under its name
      # @return [Boolean]
      def include?(name)
        return true if @encrypted.include?(name) || masks?(name, SHOWN) || masks_inside?(name)

        store = ColumnTypes::Declared.store_of(@model, name)
        store ? @encrypted.include?(store) || masks?(store, SHOWN) || masks?(store, {name => SHOWN}) : false
      end

      private

      def masks?(name, value)
        @filter.filter_param(name, value) != value
      end

      # A filter of credit_card.code hides a part of credit_card.
      def masks_inside?(name)
        return false unless @paths.any? && (RailsPrivate.serialized?(@model, name) || NESTED.include?(@model.type_for_attribute(name).type))

        @paths.any? { |_, *inner| masks?(name, inner.reverse.inject(SHOWN) { |value, key| {key => value} }) }
      end

      def paths(filters)
        sources = filters.grep_v(Proc).map { |filter| filter.is_a?(Regexp) ? filter.source : Regexp.escape(filter.to_s) }
        sources.flat_map { |source| source.scan(PATH).map { |path| path.split("\\.") } }
      end
    end
  end
end
