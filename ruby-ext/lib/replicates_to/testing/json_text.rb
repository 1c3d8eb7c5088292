# frozen_string_literal: true

require "bigdecimal"
require "date"
require "json"

module ReplicatesTo
  module Testing
    # JSON as the relay writes it, byte for byte: signatures are over bytes.
    module JsonText
      # JSON that is embedded as it stands.
      Verbatim = Struct.new(:text)

      # Larger integers travel as text.
      INT64 = (-(2**63)..((2**63) - 1))

      module_function

      # @param value [Object] of a decoded record, or of one made by hand
      # @return [String]
      # @raise [ArgumentError] when the wire has no type for it
      def write(value)
        case value
        when nil then "null"
        when true, false then value.to_s
        when Verbatim then value.text
        when Integer then INT64.cover?(value) ? value.to_s : JSON.generate(value.to_s)
        when Float then float(value)
        when Hash then object(value)
        when Array then "[#{value.map { |element| write(element) }.join(',')}]"
        else JSON.generate(text(value))
        end
      end

      # @param members [Hash]
      # @return [String]
      def object(members)
        "{#{members.map { |name, value| "#{JSON.generate(name.to_s)}:#{write(value)}" }.join(',')}}"
      end

      # @param time [Time]
      # @return [String] RFC 3339
      def timestamp(time)
        time.to_time.utc.strftime("%Y-%m-%dT%H:%M:%S.#{fraction(time.nsec)}Z")
      end

      # @param nanoseconds [Integer] since midnight
      # @return [String]
      def time_of_day(nanoseconds)
        seconds, rest = nanoseconds.divmod(1_000_000_000)
        format("%02d:%02d:%02d.%s", seconds / 3600, seconds / 60 % 60, seconds % 60, fraction(rest))
      end

      def text(value)
        case value
        when String, Symbol then value.to_s
        when BigDecimal then value.nan? ? "NaN" : value.to_s("F").delete_suffix(".0")
        when Time, DateTime then timestamp(value.to_time)
        when Date then value.iso8601
        else raise ArgumentError, "#{value.inspect} has no form in a record"
        end
      end
      private_class_method :text

      def fraction(nanoseconds)
        digits = format("%09d", nanoseconds)
        digits.end_with?("000") ? digits[0, 6] : digits
      end
      private_class_method :fraction

      # The fewest digits that read back as the same number, in the notation of Rust's ryu.
      def float(value)
        return JSON.generate(value.to_s) unless value.finite?
        return value.to_s if value.zero?

        sign, digits, _, point = BigDecimal(value.to_s).split
        "#{'-' if sign.negative?}#{notation(digits, point)}"
      end
      private_class_method :float

      def notation(digits, point)
        case point
        when 1..16 then "#{digits[0, point].ljust(point, '0')}.#{digits[point..] unless digits.size <= point}#{'0' if digits.size <= point}"
        when -4..0 then "0.#{'0' * -point}#{digits}"
        else "#{digits[0]}#{".#{digits[1..]}" if digits.size > 1}e#{point - 1}"
        end
      end
      private_class_method :notation
    end
  end
end
