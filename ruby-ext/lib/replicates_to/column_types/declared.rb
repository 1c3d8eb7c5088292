# frozen_string_literal: true

require "json"

module ReplicatesTo
  module ColumnTypes
    # Attributes that have another type than their column, because the model says so: `enum`, `serialize` and `store`,
    # `encrypts`, `attribute`. Rails reads them; the class of the value decides what it becomes.
    module Declared
      module_function

      # @param model [Class]
      # @param name [String]
      # @return [Reading]
      def reading(model, name)
        return Reading.new(:string, nil, ->(record) { label(record, name) }) if RailsPrivate.enum?(model, name)
        return Reading.new(:json, nil, ->(record) { document(record.read_attribute(name)) }) if RailsPrivate.serialized?(model, name)

        Reading.new(:dynamic, nil, ->(record) { record.read_attribute(name) })
      end

      # @param name [String] `attribute` without a column, or a store accessor, which is only a method
      # @return [Reading]
      def method(name)
        Reading.new(:dynamic, nil, ->(record) { record.public_send(name) })
      end

      # @param name [String]
      # @return [String, nil] the attribute whose store an accessor of that name reads
      def store_of(model, name)
        return if model.attribute_names.include?(name) || !model.method_defined?("#{name}=")

        # `store_accessor` may put a prefix before the key, and a suffix after it.
        model.stored_attributes.find { |_, keys| keys.any? { |key| name.match?(/\A(?:\w+_)?#{Regexp.escape(key)}(?:_\w+)?\z/) } }
             &.first&.to_s
      end

      # Rails reads a value that no label has as nil: code that is older than the row must not turn it into null.
      def label(record, name)
        label = record.read_attribute(name)
        return label unless label.nil?

        raw = record.read_attribute_before_type_cast(name)
        raw.nil? ? nil : raise(EncodeError, "#{raw.inspect} is no label of the enum")
      end
      private_class_method :label

      # The extension takes a String for JSON text.
      def document(value)
        value.is_a?(String) ? JSON.generate(value) : value
      end
      private_class_method :document
    end
  end
end
