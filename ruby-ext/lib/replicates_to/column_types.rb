# frozen_string_literal: true

require "bigdecimal"
require "date"
require "replicates_to/errors"

module ReplicatesTo
  # How the columns of a table become values of a record. The list of types is closed: what is not in it has no wire
  # type, and a mapping that selects it is refused.
  #
  # Values are read before type cast where Ruby's value loses something: IPAddr drops host bits, Duration rounds, a Date
  # before 1582 is Julian, a json round trip turns 1.10 into 1.1.
  module ColumnTypes
    # kind is the extension's name of a wire type; read turns a freshly loaded record into the value to encode.
    Reading = Struct.new(:kind, :scale, :read)

    # @param model [Class]
    # @return [PostgreSQL, SQLite] which answers `reading(column_name)` with a Reading, or nil, and `label(column_name)`
    def self.of(model)
      connection = RailsPrivate.connection_of(model)
      Outbox.of(model.name, connection).is_a?(Outbox::SQLite) ? SQLite.new(model) : PostgreSQL.new(model)
    end

    # @param model [Class]
    # @param name [String] an attribute whose type is not the one of its column
    # @return [Reading]
    def self.declared(model, name)
      return Reading.new(:string, nil, ->(record) { record.read_attribute(name) }) if RailsPrivate.enum?(model, name)

      if RailsPrivate.serialized?(model, name)
        return Reading.new(:json, nil, lambda { |record|
          value = record.read_attribute(name)
          value.nil? ? nil : ActiveSupport::JSON.encode(value)
        })
      end

      Reading.new(:dynamic, nil, ->(record) { record.read_attribute(name) })
    end

    # Conversions from what the database drivers return, which may be text or already a Ruby value.
    module Texts
      EPOCH = Date.new(1970, 1, 1, Date::GREGORIAN).jd
      DATE = /\A(\d{4,})-(\d\d)-(\d\d)\z/
      TIME = /(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?\z/
      FLOATS = {"NaN" => Float::NAN, "Infinity" => Float::INFINITY, "-Infinity" => -Float::INFINITY}.freeze
      SECONDS_OF_A_DAY = 86_400

      module_function

      # @return [Integer] days since 1970-01-01 in the Gregorian calendar, as SQL counts them
      def date(raw)
        return Date.new(raw.year, raw.month, raw.day, Date::GREGORIAN).jd - EPOCH if raw.respond_to?(:year)

        match = DATE.match(raw)
        year = match && match[1].to_i
        raise EncodeError, "date #{raw} is outside the years 1-9999" unless year&.between?(1, 9999)

        Date.new(year, match[2].to_i, match[3].to_i, Date::GREGORIAN).jd - EPOCH
      end

      # @return [Integer] nanoseconds since midnight
      def time_of_day(raw)
        match = TIME.match(raw.respond_to?(:strftime) ? raw.strftime("%H:%M:%S.%N") : raw)
        raise EncodeError, "#{raw.inspect} is not a time of day" unless match

        seconds = (match[1].to_i * 3600) + (match[2].to_i * 60) + match[3].to_i
        raise EncodeError, "time of day #{raw} is not before midnight" if seconds >= SECONDS_OF_A_DAY

        (seconds * 1_000_000_000) + match[4].to_s.ljust(9, "0").to_i
      end

      # @return [Float]
      def float(raw)
        raw.is_a?(String) ? FLOATS.fetch(raw) { Float(raw) } : raw
      end

      # @return [BigDecimal]
      def decimal(raw)
        raw.is_a?(Float) ? BigDecimal(raw.to_s) : BigDecimal(raw)
      end

      # @return [Boolean]
      def bool(raw)
        raw.is_a?(String) ? raw == "t" : raw
      end
    end
  end
end

require "replicates_to/column_types/postgresql"
require "replicates_to/column_types/sqlite"
