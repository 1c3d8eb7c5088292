# frozen_string_literal: true

module ReplicatesTo
  module BulkWrites
    # The class of a row: that of its single-table-inheritance column, if it has one.
    class Naming
      # @return [String, nil] the column
      attr_reader :column
      # @return [Hash{String => Class}] the class by the column's value
      attr_reader :classes
      # @return [Class, nil] for any other value; nil when such rows are not meant
      attr_reader :default

      # @param base [Class] the base class of a table
      # @return [Naming] of its replicated classes
      def self.replicated(base)
        new(base) { |model| model.respond_to?(:replicates?) && model.replicates? }
      end

      # @param base [Class] the base class of a table
      # @return [Naming] of those that are replicated or have others republished
      def self.noted(base)
        new(base) { |model| model.respond_to?(:noted?) && model.noted? }
      end

      # @param base [Class] the base class of a table
      # @yieldparam model [Class]
      # @yieldreturn [Boolean] whether its rows are meant
      def initialize(base, &meant)
        @column = base.inheritance_column if base.columns_hash.key?(base.inheritance_column)
        named = [base, *(@column ? base.descendants : [])].select(&meant)
        @default = named.delete(base)
        @classes = named.index_by(&:sti_name)
      end

      # @return [Boolean] whether no row is meant
      def empty?
        models.empty?
      end

      # @param value [String, nil] of the column
      # @return [Class, nil]
      def of(value)
        classes.fetch(value, default)
      end

      # @return [Array<Class>] that a row may be of
      def models
        [*default, *classes.values]
      end
    end

    # Every row is a row of this class, whatever its column says.
    Fixed = Struct.new(:default) do
      def column; end

      def classes
        {}
      end

      def of(_)
        default
      end

      def models
        [default]
      end
    end
  end
end
