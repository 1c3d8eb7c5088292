# frozen_string_literal: true

require "replicates_to/column_types/postgresql/catalogue"
require "replicates_to/column_types/postgresql/arrays"
require "replicates_to/column_types/postgresql/hstore"
require "replicates_to/column_types/postgresql/money"

module ReplicatesTo
  module ColumnTypes
    # The columns of a PostgreSQL table. The catalogue is asked rather than Rails: it resolves domains to their base
    # types, and knows what an array is made of.
    class PostgreSQL
      MONEY = "money"
      # PostgreSQL's names of types => the kind of their values.
      KINDS = {
        "bool" => :bool, "int2" => :integer, "int4" => :integer, "int8" => :integer, "oid" => :integer,
        "float4" => :float, "float8" => :float, "numeric" => :decimal, MONEY => :decimal,
        "text" => :string, "varchar" => :string, "bpchar" => :string, "name" => :string, "citext" => :string,
        "uuid" => :string, "inet" => :string, "cidr" => :string, "macaddr" => :string, "macaddr8" => :string,
        "bit" => :string, "varbit" => :string, "xml" => :string, "interval" => :string,
        "bytea" => :bytes, "date" => :date, "time" => :time_of_day, "timestamp" => :timestamp, "timestamptz" => :timestamp,
        "json" => :json, "jsonb" => :json, "hstore" => :json
      }.freeze
      BASE_TYPE = "b"
      ENUM = "e"
      SAME = ->(raw) { raw }
      DECODERS = {
        bool: Texts.method(:bool), integer: Texts.method(:integer), float: Texts.method(:float),
        decimal: Texts.method(:decimal), date: Texts.method(:date), time_of_day: Texts.method(:time_of_day),
        timestamp: Texts.method(:timestamp), bytes: ->(raw) { PG::Connection.unescape_bytea(raw) }
      }.freeze
      # Types whose text says it in another way than their kind.
      DECODERS_BY_NAME = {"hstore" => Hstore.method(:parse), "interval" => ->(raw) { PostgreSQL.interval(raw) }}.freeze

      # @param model [Class]
      def initialize(model)
        @model = model
        @columns = Catalogue.columns(model)
      end

      # @param name [String] of a column
      # @return [Reading, nil] nil when its type has no wire type
      def reading(name)
        column = @columns.fetch(name)
        kind = kind_of(column)
        return unless kind

        decode = decoder(kind, column.type)
        scale = column.type == MONEY ? money.scale : column.scale
        return Arrays.reading(name, kind, scale, decode) if column.arrays.positive?

        Reading.new(kind, scale, scalar(name, kind, decode))
      end

      # @return [String] the type as PostgreSQL calls it
      def label(name)
        @columns.fetch(name).label
      end

      # @return [String]
      def self.interval(raw)
        return raw if raw.start_with?("P")

        raise EncodeError, "#{raw.inspect} is not ISO 8601: intervalstyle must stay iso_8601, as Rails sets it"
      end

      private

      # An array of a domain that is an array has arrays inside of texts.
      def kind_of(column)
        return if column.arrays > 1 || (column.type == MONEY && !money)
        return :string if column.kind == ENUM

        KINDS[column.type] if column.kind == BASE_TYPE
      end

      # Rails decodes bytea on the way in; everything else is read as it came.
      def scalar(name, kind, decode)
        return ->(record) { record.read_attribute(name) } if kind == :bytes
        return ->(record) { record.read_attribute_before_type_cast(name) } if decode.equal?(SAME)

        lambda do |record|
          raw = record.read_attribute_before_type_cast(name)
          raw.nil? ? nil : decode.call(raw)
        end
      end

      def decoder(kind, type)
        return money.method(:decimal) if type == MONEY

        DECODERS_BY_NAME[type] || DECODERS.fetch(kind, SAME)
      end

      def money
        return @money if defined?(@money)

        @money = Money.of(RailsPrivate.connection_of(@model))
      end
    end
  end
end
