# frozen_string_literal: true

module ReplicatesTo
  module ColumnTypes
    # The columns of an SQLite table, by the types that Rails' migrations declare.
    class SQLite
      CAST = ->(record, name) { record.read_attribute(name) }
      RAW = ->(record, name) { record.read_attribute_before_type_cast(name) }

      # Rails' type of the column => kind, and how it is read.
      KINDS = {
        boolean: [:bool, CAST], integer: [:integer, CAST], float: [:float, CAST], string: [:string, CAST], text: [:string, CAST],
        binary: [:bytes, CAST], datetime: [:timestamp, CAST], json: [:json, RAW],
        decimal: [:decimal, ->(record, name) { CAST.call(record, name)&.then { |value| Texts.decimal(value) } }],
        date: [:date, ->(record, name) { RAW.call(record, name)&.then { |raw| Texts.date(raw) } }],
        time: [:time_of_day, ->(record, name) { RAW.call(record, name)&.then { |raw| Texts.time_of_day(raw) } }]
      }.freeze

      # @param model [Class]
      def initialize(model)
        @model = model
      end

      # @param name [String] of a column
      # @return [Reading, nil] nil when its type has no wire type
      def reading(name)
        column = @model.columns_hash.fetch(name)
        kind, read = KINDS[column.type]
        kind && Reading.new(kind, kind == :decimal ? column.scale : nil, ->(record) { read.call(record, name) })
      end

      # @return [String] the type as it was declared
      def label(name)
        @model.columns_hash.fetch(name).sql_type
      end
    end
  end
end
