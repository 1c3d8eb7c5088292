# frozen_string_literal: true

require "bigdecimal"

module ReplicatesTo
  class Key
    # One column of a key.
    class Column
      # How a type becomes text, in Ruby and in PostgreSQL, and how it is read again: `text` takes a value and the model's
      # type, `value` a text and the type, `sql` an expression and the column.
      Kind = Struct.new(:text, :value, :sql)

      CAST = ->(text, type) { type.cast(text) }
      # concat, because a cast would cut the spaces off char(n).
      PLAIN = Kind.new(->(value, _) { value.to_s }, CAST, ->(sql, _) { "concat(#{sql})" })
      INSTANT = Kind.new(->(value, _) { Texts.instant(value) }, CAST, ->(sql, column) { Texts.instant_sql(sql, column.sql_type) })

      # The closed list of types whose text is the same in every process and every language: that of their JSON values.
      KINDS = {
        integer: Kind.new(->(value, _) { value.to_s }, CAST, ->(sql, _) { "#{sql}::text" }),
        string: PLAIN, text: PLAIN, uuid: PLAIN, enum: PLAIN, citext: PLAIN,
        boolean: Kind.new(->(value, _) { value.to_s }, CAST, ->(sql, _) { "#{sql}::text" }),
        binary: Kind.new(->(value, _) { value.to_s.unpack1("H*") }, ->(text, _) { [text].pack("H*") },
                         ->(sql, _) { "encode(#{sql}, 'hex')" }),
        decimal: Kind.new(->(value, type) { Texts.decimal(value, type.scale) }, CAST,
                          ->(sql, column) { column.scale ? "#{sql}::text" : "trim_scale(#{sql})::text" }),
        date: Kind.new(->(value, _) { Texts.date(value) }, CAST, ->(sql, _) { "to_char(#{sql}, 'YYYY-MM-DD')" }),
        datetime: INSTANT, timestamp: INSTANT, timestamptz: INSTANT
      }.freeze

      # Texts of types that Ruby writes in another way than JSON has them.
      module Texts
        YEARS = 1..9999
        INSTANT = "%Y-%m-%dT%H:%M:%S.%6NZ"
        INSTANT_SQL = %q('YYYY-MM-DD"T"HH24:MI:SS.US"Z"')

        module_function

        # @return [String] in plain notation, with the column's scale; without one, trailing zeros are dropped
        def decimal(value, scale)
          whole, fraction = BigDecimal(value).to_s("F").split(".")
          fraction = scale ? fraction.to_s.ljust(scale, "0")[0, scale] : fraction.to_s.sub(/0+\z/, "")
          fraction.empty? ? whole : "#{whole}.#{fraction}"
        end

        # @return [String]
        def date(value)
          within_years(value).iso8601
        end

        # @return [String] in UTC, to the microsecond, as the databases keep it
        def instant(value)
          within_years(value).getutc.strftime(INSTANT)
        end

        # @return [String]
        def instant_sql(sql, sql_type)
          "to_char(#{sql_type.match?(/with time zone|timestamptz/) ? "#{sql} at time zone 'UTC'" : sql}, #{INSTANT_SQL})"
        end

        # Infinity is a Float.
        def within_years(value)
          return value if value.respond_to?(:year) && YEARS.cover?(value.year)

          raise EncodeError, "#{value} is outside the years 1-9999, so it cannot be in a key"
        end
        private_class_method :within_years
      end

      # @param model [Class]
      # @param name [String]
      # @return [Column]
      def self.of(model, name)
        new(name, model.type_for_attribute(name), model.columns_hash[name])
      end

      # @return [String]
      attr_reader :name

      # @param type [ActiveModel::Type::Value]
      # @param column [ActiveRecord::ConnectionAdapters::Column, nil] nil when the table has no such column
      def initialize(name, type, column)
        @name = name
        @type = type
        @column = column
      end

      # @return [Boolean] whether its type can be in a key
      def supported?
        !@column.nil? && KINDS.key?(@type.type)
      end

      # @return [String] the type as people know it
      def label
        (@type.type || @column&.sql_type || "missing column").to_s
      end

      # @param value [Object] as the model reads it
      # @return [Integer, String, nil] what JSON can carry
      # @raise [EncodeError] when it has no text
      def part(value)
        integer? || value.nil? ? value : kind.text.call(value, @type)
      end

      # @param part [Integer, String, nil]
      # @return [Object] as the model reads it
      def value(part)
        part.nil? ? nil : kind.value.call(part, @type)
      end

      # @param value [Object] as the model reads it
      # @return [Object] as the database takes it
      def to_database(value)
        @type.serialize(value)
      end

      # @param expression [String] the column's value in PostgreSQL
      # @return [String] its text
      def sql(expression)
        kind.sql.call(expression, @column)
      end

      # @param expression [String] the column's value in PostgreSQL
      # @return [String] what JSON can carry
      def part_sql(expression)
        integer? ? expression : sql(expression)
      end

      # @param expression [String] the column's value in PostgreSQL
      # @return [String] its JSON there; an integer's is its text, at half the price
      def json_sql(expression)
        integer? ? sql(expression) : "to_json(#{sql(expression)})::text"
      end

      private

      def integer?
        @type.type == :integer
      end

      def kind
        KINDS.fetch(@type.type) { raise MappingError, "#{name} is a #{label}, which cannot be a key" }
      end
    end
  end
end
