# frozen_string_literal: true

require "bigdecimal"
require "date"

module ReplicatesTo
  module ColumnTypes
    # Conversions from what the database drivers return, which may be text or already a Ruby value. What is refused here
    # is refused in the words of the extension.
    module Texts
      EPOCH = Date.new(1970, 1, 1, Date::GREGORIAN).jd
      DATE = /\A(\d{4,})-(\d\d)-(\d\d)\z/
      TIME = /(?<!\d)(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?\z/
      TIMESTAMP = /\A(\d{4,})-(\d\d)-(\d\d)(?:[ T](\d\d):(\d\d)(?::(\d\d(?:\.\d{1,9})?))?(Z|[+-]\d\d(?::?\d\d){0,2})?)?\z/
      FLOATS = {"NaN" => Float::NAN, "Infinity" => Float::INFINITY, "-Infinity" => -Float::INFINITY}.freeze
      YEARS = (1..9999)
      SECONDS_OF_A_DAY = 86_400

      module_function

      # @return [Integer] days since 1970-01-01 in the Gregorian calendar, as SQL counts them
      def date(raw)
        return days(raw, raw.year, raw.month, raw.day) if raw.is_a?(Date)

        match = DATE.match(raw.to_s) or raise EncodeError, misfit(raw, "a date")
        days(raw, match[1].to_i, match[2].to_i, match[3].to_i)
      rescue Date::Error
        raise EncodeError, misfit(raw, "a date")
      end

      # @return [Integer] nanoseconds since midnight
      def time_of_day(raw)
        match = TIME.match(raw.to_s)
        raise EncodeError, "#{raw.inspect} is not a time of day" unless match

        seconds = (match[1].to_i * 3600) + (match[2].to_i * 60) + match[3].to_i
        raise EncodeError, "#{raw} is outside a day" if seconds >= SECONDS_OF_A_DAY

        (seconds * 1_000_000_000) + match[4].to_s.ljust(9, "0").to_i
      end

      # @param raw [Time, String] text without a zone is read as Rails reads it: as UTC, unless the application keeps
      #   local times
      # @return [Time]
      def timestamp(raw)
        return raw unless raw.is_a?(String)

        match = TIMESTAMP.match(raw)
        raise EncodeError, misfit(raw, "a timestamp") unless match && YEARS.cover?(match[1].to_i)

        time = clock(match)
        # Ruby takes February 30 for March 2.
        time.day == match[3].to_i ? time : raise(EncodeError, misfit(raw, "a timestamp"))
      rescue ArgumentError
        raise EncodeError, misfit(raw, "a timestamp")
      end

      # @return [Float]
      def float(raw)
        raw.is_a?(String) ? FLOATS.fetch(raw) { Float(raw) } : raw
      end

      # @return [BigDecimal]
      def decimal(raw)
        raw.is_a?(BigDecimal) ? raw : BigDecimal(raw)
      end

      # @return [Integer]
      def integer(raw)
        raw.is_a?(Integer) ? raw : Integer(raw, 10)
      end

      # @return [Boolean]
      def bool(raw)
        raw.is_a?(String) ? raw == "t" : raw
      end

      def days(raw, year, month, day)
        raise EncodeError, misfit(raw, "a date") unless YEARS.cover?(year)

        Date.new(year, month, day, Date::GREGORIAN).jd - EPOCH
      end
      private_class_method :days

      def clock(match)
        parts = [match[1].to_i, match[2].to_i, match[3].to_i, match[4].to_i, match[5].to_i, Rational(match[6] || 0)]
        return Time.new(*parts, offset(match[7])) if match[7]

        RailsPrivate.local_times? ? Time.local(*parts) : Time.utc(*parts)
      end
      private_class_method :clock

      # Local times of the 19th century are off by minutes and seconds.
      def offset(text)
        return "+00:00" if text == "Z"

        digits = text.delete(":")
        [digits[0, 3], digits[3, 2] || "00", digits[5, 2]].reject { |part| part.to_s.empty? }.join(":")
      end
      private_class_method :offset

      def misfit(raw, noun)
        case raw.to_s
        when /\A-?infinity\z/ then "infinity is not #{noun}"
        when /\A-|\A\d{5,}-|\A0000-| BC\z/ then "#{raw} is outside the years 1 to 9999"
        else "#{raw.inspect} is not #{noun}"
        end
      end
      private_class_method :misfit
    end
  end
end
