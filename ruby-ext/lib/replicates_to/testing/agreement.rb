# frozen_string_literal: true

require "bigdecimal"
require "date"
require "time"

module ReplicatesTo
  module Testing
    # Whether an expected value and one of a record are the same. What JSON has no type for may be expected as Ruby has it:
    # `price: BigDecimal("10.5")` agrees with "10.50", `bought_on: Date.new(2026, 11, 22)` with "2026-11-22". Anything
    # that answers to `===`, such as matchers, classes, ranges and patterns, is asked.
    module Agreement
      module_function

      # @param expected [Object]
      # @param actual [Object] of {Record#attributes}
      # @return [Boolean]
      def between?(expected, actual)
        case expected
        when Hash then actual.is_a?(Hash) && hashes?(expected.transform_keys(&:to_s), actual)
        when Array then actual.is_a?(Array) && expected.size == actual.size && expected.zip(actual).all? { |pair| between?(*pair) }
        when BigDecimal then number(actual) == expected
        when Time, DateTime then times?(expected.to_time, actual)
        when Date then expected.iso8601 == actual
        when Symbol then expected.to_s == actual
        else expected === actual || expected == actual
        end
      end

      def hashes?(expected, actual)
        expected.keys.sort == actual.keys.sort && expected.all? { |name, value| between?(value, actual[name]) }
      end
      private_class_method :hashes?

      def number(actual)
        BigDecimal(actual.to_s)
      rescue ArgumentError
        nil
      end
      private_class_method :number

      # Ruby's clock has nanoseconds, the database's columns have microseconds.
      def times?(expected, actual)
        found = Time.iso8601(actual.to_s)
        found == expected || found == expected.floor(6)
      rescue ArgumentError
        false
      end
      private_class_method :times?
    end
  end
end
