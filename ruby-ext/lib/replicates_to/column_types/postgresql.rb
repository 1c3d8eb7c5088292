# frozen_string_literal: true

module ReplicatesTo
  module ColumnTypes
    # The columns of a PostgreSQL table. The catalogue is asked rather than Rails: it resolves domains to their base
    # types, and knows what an array is made of.
    class PostgreSQL
      TEXT = ->(raw) { raw.to_s }
      DECODERS = {
        bool: Texts.method(:bool), integer: ->(raw) { Integer(raw) }, float: Texts.method(:float),
        decimal: Texts.method(:decimal), string: TEXT, date: Texts.method(:date), time_of_day: Texts.method(:time_of_day),
        timestamp: ->(raw) { PostgreSQL.timestamp(raw) }, json: TEXT, bytes: ->(raw) { PG::Connection.unescape_bytea(raw) }
      }.freeze
      KINDS = {
        "bool" => :bool, "int2" => :integer, "int4" => :integer, "int8" => :integer, "oid" => :integer,
        "float4" => :float, "float8" => :float, "numeric" => :decimal,
        "text" => :string, "varchar" => :string, "bpchar" => :string, "name" => :string, "citext" => :string,
        "uuid" => :string, "inet" => :string, "cidr" => :string, "macaddr" => :string, "macaddr8" => :string,
        "bit" => :string, "varbit" => :string, "xml" => :string, "interval" => :string,
        "bytea" => :bytes, "date" => :date, "time" => :time_of_day, "timestamp" => :timestamp, "timestamptz" => :timestamp,
        "json" => :json, "jsonb" => :json
      }.freeze
      ENUM = "e"
      TYPMOD_HEADER = 4
      TIMESTAMP = /\A(\d{4,})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(\.\d+)?(?:([+-]\d\d)(?::(\d\d))?)?\z/

      # @param model [Class]
      def initialize(model)
        @model = model
        @columns = read_catalogue.to_h { |row| [row["attname"], row] }
      end

      # @param name [String] of a column
      # @return [Reading, nil] nil when its type has no wire type
      def reading(name)
        column = @columns.fetch(name)
        return array(name, column) if column["element"]
        return Reading.new(:json, nil, ->(record) { hstore(record.read_attribute(name)) }) if column["typname"] == "hstore"

        kind = kind_of(column["typname"], column["typtype"])
        kind && Reading.new(kind, scale_of(kind, column["typmod"]), scalar(kind, name))
      end

      # @return [String] the type as PostgreSQL calls it
      def label(name)
        @columns.fetch(name).fetch("label")
      end

      # @param raw [Time, String] text has the session's zone, or none (a timestamp without time zone: read as UTC)
      # @return [Time]
      def self.timestamp(raw)
        return raw unless raw.is_a?(String)

        match = TIMESTAMP.match(raw)
        raise EncodeError, "timestamp #{raw} is outside the years 1-9999" unless match

        seconds = Rational("#{match[6]}#{match[7]}")
        Time.new(*match[1..5].map(&:to_i), seconds, match[8] ? "#{match[8]}:#{match[9] || '00'}" : "+00:00")
      end

      private

      def kind_of(name, type)
        type == ENUM ? :string : KINDS[name]
      end

      # Rails decodes bytea on the way in; everything else is read as it came.
      def scalar(kind, name)
        return ->(record) { record.read_attribute(name) } if kind == :bytes

        decode = DECODERS.fetch(kind)
        lambda do |record|
          raw = record.read_attribute_before_type_cast(name)
          raw.nil? ? nil : decode.call(raw)
        end
      end

      def array(name, column)
        kind = kind_of(column["element"], column["element_type"])
        return if kind.nil? || kind == :json

        decode = DECODERS.fetch(kind)
        decoder = PG::TextDecoder::Array.new
        Reading.new([:list, kind], scale_of(kind, column["typmod"]), lambda do |record|
          raw = record.read_attribute_before_type_cast(name)
          raw && decoder.decode(raw).map { |element| element_of(name, element, decode) }
        end)
      end

      def element_of(name, element, decode)
        raise EncodeError, "#{name}: an array of several dimensions; give it a compute:" if element.is_a?(Array)

        element.nil? ? nil : decode.call(element)
      end

      def hstore(value)
        value && ActiveSupport::JSON.encode(value)
      end

      # Eleven bits, signed since PostgreSQL 15: numeric(5,-2) counts in hundreds and has no digits behind the point.
      def scale_of(kind, typmod)
        return if kind != :decimal || typmod < TYPMOD_HEADER

        scale = (((typmod - TYPMOD_HEADER) & 0x7ff) ^ 0x400) - 0x400
        [scale, 0].max
      end

      def read_catalogue
        connection = RailsPrivate.connection_of(@model)
        connection.exec_query(<<~SQL, "ReplicatesTo Columns").to_a
          with recursive resolved (attname, oid, typmod) as (
            select attname, atttypid, atttypmod from pg_attribute
            where attrelid = #{connection.quote(@model.quoted_table_name)}::regclass and attnum > 0 and not attisdropped
            union all
            select resolved.attname, pg_type.typbasetype, pg_type.typtypmod
            from resolved join pg_type on pg_type.oid = resolved.oid where pg_type.typtype = 'd'
          )
          select resolved.attname::text, resolved.typmod, pg_type.typname::text, pg_type.typtype::text,
                 format_type(pg_type.oid, null) as label,
                 element.typname::text as element, element.typtype::text as element_type
          from resolved join pg_type on pg_type.oid = resolved.oid
          left join pg_type element on element.oid = pg_type.typelem and pg_type.typcategory = 'A'
          where pg_type.typtype <> 'd'
        SQL
      end
    end
  end
end
