# frozen_string_literal: true

require "replicates_to/testing/agreement"

module ReplicatesTo
  module Testing
    # What a test expects to be published: records of a row or of a model, and what must be true of them. Names that the
    # declarations do not have are refused, or a misspelt `not_to` would always be met.
    class Expectation
      OPERATIONS = %w[create update delete snapshot].freeze

      # @return [String, nil] nil: any
      attr_reader :operation
      # @return [Hash{String => Object}] by public name
      attr_reader :attributes

      # @param subject [ActiveRecord::Base, Class] a row, or all rows of a model
      # @param to [Symbol, String, nil] destination; nil: any
      # @param operation [Symbol, String, nil]
      # @param attributes [Hash] by public name
      # @raise [ArgumentError]
      def initialize(subject, to: nil, operation: nil, attributes: {})
        @subject = subject
        @model = subject.is_a?(Class) ? subject : subject.class
        @destination, @operation = to&.to_s, operation&.to_s
        @attributes = attributes.transform_keys(&:to_s)
        refuse_meaningless
        @former_keys = keys
      end

      # @param record [Record]
      # @return [Boolean]
      def met_by?(record)
        about?(record) && (operation.nil? || operation == record.operation) && disagreements(record).empty?
      end

      # @param records [Array<Record>]
      # @return [Record, nil] of those that do not meet it, the one that comes nearest
      def nearest(records)
        records.max_by.with_index { |record, index| [*nearness(record), index] }
      end

      # @param record [Record]
      # @return [Array<String>] names of expected attributes that are otherwise
      def disagreements(record)
        attributes.keys.reject { |name| record.attributes.key?(name) && Agreement.between?(attributes[name], record.attributes[name]) }
      end

      # @return [String]
      def to_s
        "#{names.uniq.join(' or ')}#{key}#{" -> #{@destination}" if @destination}#{", #{operation}" if operation}"
      end

      private

      def about?(record)
        destinations.include?(record.destination) && record.of?(@model) && of_row?(record)
      end

      # A row may get its key while the test's block runs, or another one, under which its former records are deleted.
      def of_row?(record)
        @subject.is_a?(Class) || [@former_keys, keys].any? { |keys| keys[record.destination] == record.key }
      end

      def nearness(record)
        [record.of?(@model), of_row?(record), destinations.include?(record.destination),
         operation.nil? || operation == record.operation].map { |true_of_it| true_of_it ? 1 : 0 } << -disagreements(record).size
      end

      # @return [Hash{String => String}] by destination
      def keys
        return {} if @subject.is_a?(Class) || @subject.new_record?

        destinations.to_h { |destination| [destination, ReplicatesTo.mapping(@model, destination).key_of(@subject)] }
      end

      def key
        return if @subject.is_a?(Class)

        " #{keys.empty? ? '(not saved)' : keys.values.uniq.join(' or ')}"
      end

      def destinations
        @destination ? [@destination] : declarations.keys.map(&:to_s)
      end

      def declarations
        @model.replicates_to_declarations
      end

      def names
        destinations.map { |destination| declarations.fetch(destination.to_sym).public_name(@model) }
      end

      def refuse_meaningless
        unless @model.respond_to?(:replicates?) && @model.replicates?
          raise ArgumentError, "#{@subject.inspect} is neither a replicated model nor a row of one"
        end

        refuse_unknown("destination", @destination, declarations.keys.map(&:to_s))
        refuse_unknown("operation", operation, OPERATIONS)
        raise ArgumentError, "a delete has no attributes" if operation == "delete" && attributes.any?

        published = destinations.flat_map { |destination| ReplicatesTo.mapping(@model, destination).names }
        attributes.each_key { |name| refuse_unknown("attribute", name, published) }
      end

      def refuse_unknown(what, name, known)
        return if name.nil? || known.include?(name)

        raise ArgumentError, "#{@model.name} publishes no #{what} #{name}#{Nearest.hint(name, known)}"
      end
    end
  end
end
