# frozen_string_literal: true

module ReplicatesTo
  module ColumnTypes
    class PostgreSQL
      # Arrays, whose dimensions are each row's own. One dimension of scalars is a list; several become JSON in the
      # extension, and so does what holds JSON, because a list is of scalars.
      module Arrays
        module_function

        # @param decode [#call] takes an element's text
        # @return [Reading]
        def reading(name, kind, scale, decode)
          texts = PG::TextDecoder::Array.new
          Reading.new(kind == :json ? :json : [:list, kind], scale, lambda do |record|
            raw = record.read_attribute_before_type_cast(name)
            next if raw.nil?

            elements = each(texts.decode(raw), decode)
            kind == :json && decode.equal?(SAME) ? json(elements) : elements
          end)
        end

        def each(elements, decode)
          elements.map do |element|
            next if element.nil?

            element.is_a?(Array) ? each(element, decode) : decode.call(element)
          end
        end
        private_class_method :each

        # @param elements [Array<String, nil, Array>] JSON texts
        # @return [String]
        def json(elements)
          texts = elements.map { |element| element.is_a?(Array) ? json(element) : element || "null" }
          "[#{texts.join(',')}]"
        end
        private_class_method :json
      end
    end
  end
end
