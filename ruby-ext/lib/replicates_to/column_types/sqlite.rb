# frozen_string_literal: true

require "json"

module ReplicatesTo
  module ColumnTypes
    # The columns of an SQLite table, by the types that Rails' migrations declare. SQLite keeps whatever it is given, so
    # a value that is not of its column's type is refused: Rails would read it as 0, or as nil.
    class SQLite
      SAME = ->(raw, _) { raw }

      # Rails' type of the column => kind, and how its values are read.
      KINDS = {
        boolean: [:bool, ->(raw, _) { SQLite.bool(raw) }], integer: [:integer, SAME], float: [:float, SAME],
        decimal: [:decimal, ->(raw, scale) { SQLite.decimal(raw, scale) }], binary: [:bytes, SAME],
        string: [:string, ->(raw, _) { raw.to_s }], text: [:string, ->(raw, _) { raw.to_s }],
        json: [:json, ->(raw, _) { SQLite.json(raw) }], date: [:date, ->(raw, _) { Texts.date(raw) }],
        time: [:time_of_day, ->(raw, _) { Texts.time_of_day(raw) }], datetime: [:timestamp, ->(raw, _) { Texts.timestamp(raw) }]
      }.freeze
      BOOLEAN = ActiveModel::Type::Boolean.new
      # Rails does not say whether a scale is 0 or missing.
      SCALE = /\(\s*\d+\s*(?:,\s*(\d+)\s*)?\)/

      # @param model [Class]
      def initialize(model)
        @model = model
      end

      # @param name [String] of a column
      # @return [Reading, nil] nil when its type has no wire type
      def reading(name)
        column = @model.columns_hash.fetch(name)
        kind, decode = KINDS[column.type]
        return unless kind

        scale = scale_of(column.sql_type) if kind == :decimal
        Reading.new(kind, scale, lambda do |record|
          raw = record.read_attribute_before_type_cast(name)
          raw.nil? ? nil : decode.call(raw, scale)
        end)
      end

      # @return [String] the type as it was declared
      def label(name)
        @model.columns_hash.fetch(name).sql_type
      end

      # @return [Boolean]
      def self.bool(raw)
        bool = BOOLEAN.cast(raw)
        bool.nil? ? raise(EncodeError, "#{raw.inspect} is not a boolean") : bool
      end

      # A fraction is kept as a binary float: the column's scale says which decimal it stands for.
      #
      # @return [BigDecimal, Integer]
      def self.decimal(raw, scale)
        return raw if raw.is_a?(Integer)

        exact = BigDecimal(raw.to_s)
        scale && exact.finite? ? exact.round(scale) : exact
      rescue ArgumentError
        raise EncodeError, "#{raw.inspect} is not a decimal"
      end

      # A column declared json has SQLite make numbers of texts that look like one.
      #
      # @return [String]
      def self.json(raw)
        raw.to_s.tap { |text| JSON.parse(text, max_nesting: false) }
      rescue JSON::ParserError
        raise EncodeError, "the text is not JSON"
      end

      private

      def scale_of(declared)
        match = SCALE.match(declared)
        match && match[1].to_i
      end
    end
  end
end
