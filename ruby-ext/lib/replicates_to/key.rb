# frozen_string_literal: true

require "json"
require "replicates_to/errors"
require "replicates_to/key/column"

module ReplicatesTo
  # Columns that name a row, and the text they make: what its records carry as their key.
  #
  # One column is its own text. Several are joined by `,`, after `%` became `%25` and `,` became `%2C` in each. What the text
  # of a column is, its type says: {Column}. Both rules exist in Ruby and in SQL, and must agree.
  class Key
    BYTES_MAX = 512
    SEPARATOR = ","
    ESCAPES = {"%" => "%25", SEPARATOR => "%2C"}.freeze

    class << self
      # @param parts [Array<Integer, String>]
      # @return [String]
      def join(parts)
        return parts.first.to_s if parts.one?

        parts.map { |part| part.to_s.gsub(/[%,]/, ESCAPES) }.join(SEPARATOR)
      end

      # @param text [String]
      # @return [String] the same
      # @raise [EncodeError] when no record can have it
      def check(text)
        fault = fault_of(text)
        fault ? raise(EncodeError, "key #{text.inspect} #{fault}") : text
      end

      # @return [String, nil] why no record can have the key
      def fault_of(text)
        return "is empty" if text.empty?
        return "is longer than #{BYTES_MAX} bytes" if text.bytesize > BYTES_MAX

        "has a control character" if text.match?(/[[:cntrl:]]/)
      end
    end

    # @return [Array<Column>]
    attr_reader :columns

    # @param model [Class]
    # @param names [Array<String>] of columns
    def initialize(model, names)
      @columns = names.map { |name| Column.of(model, name) }
    end

    # @return [Array<String>]
    def names
      columns.map(&:name)
    end

    # @param values [Array] of the columns, as the model reads them
    # @return [Array<Integer, String>] what JSON can carry: integers, and texts
    # @raise [EncodeError] for a value that has no text
    def parts(values)
      columns.zip(values).map { |column, value| column.part(value) }
    end

    # @param values [Array] of the columns, as the model reads them
    # @return [String] which may be too long, empty or worse: see {.check}
    # @raise [EncodeError] for a value that has no text
    def text(values)
      Key.join(parts(values))
    end

    # @param record [ActiveRecord::Base] freshly loaded
    # @return [String]
    # @raise [EncodeError] when no record can have that key
    def of(record)
      Key.check(text(values_of(record)))
    end

    # @param record [ActiveRecord::Base] freshly loaded
    # @return [Array] of the columns
    def values_of(record)
      columns.map { |column| RailsPrivate.column_value(record, column.name) }
    end

    # @param parts [Array<Integer, String>]
    # @return [Array] of the columns, as the model reads them
    def values(parts)
      columns.zip(parts).map { |column, part| column.value(part) }
    end

    # @param text [String]
    # @return [Array<String>] the parts that were joined to it
    def split(text)
      return [text] if columns.one?

      text.split(SEPARATOR, -1).map { |part| part.gsub(/%25|%2C/, ESCAPES.invert) }
    end

    # @param relation [ActiveRecord::Relation]
    # @param tuples [Array<Array>] values of the columns
    # @return [ActiveRecord::Relation] its rows that have one of them
    def among(relation, tuples)
      return relation.none if tuples.empty?
      return relation.where(names.first => tuples.flatten(1)) if columns.one?
      return relation.where(names.zip(tuples.first).to_h) if tuples.one?

      # A thousand `or`s would be deeper than SQLite allows.
      RailsPrivate.with_connection(relation.klass) do |connection|
        rows = tuples.map { |values| row_sql(connection, values) }.join(", ")
        rows = "values #{rows}" if Outbox.on(connection).is_a?(Outbox::SQLite)
        relation.where("#{columns_sql(connection, relation.klass)} in (#{rows})")
      end
    end

    # @param relation [ActiveRecord::Relation]
    # @param values [Array] of the columns, as the model reads them
    # @return [ActiveRecord::Relation] its rows that come after them in the order of the columns
    def after(relation, values)
      return relation.where(relation.arel_table[names.first].gt(values.first)) if columns.one?

      RailsPrivate.with_connection(relation.klass) do |connection|
        relation.where("#{columns_sql(connection, relation.klass)} > #{row_sql(connection, values)}")
      end
    end

    # The rule of {#text} in PostgreSQL.
    #
    # @yieldparam name [String] of a column
    # @yieldreturn [String] its value in SQL
    # @return [String]
    def sql
      texts = columns.map { |column| column.sql(yield(column.name)) }
      return texts.first if texts.one?

      escaped = texts.map { |text| ESCAPES.reduce(text) { |sql, (from, to)| "replace(#{sql}, '#{from}', '#{to}')" } }
      "concat_ws('#{SEPARATOR}', #{escaped.join(', ')})"
    end

    # The JSON array of {#parts} in PostgreSQL, spaced as Ruby does.
    #
    # @yieldparam name [String] of a column
    # @yieldreturn [String] its value in SQL
    # @return [String]
    def json_sql
      "'[' || #{columns.map { |column| column.json_sql(yield(column.name)) }.join(" || ',' || ")} || ']'"
    end

    private

    def columns_sql(connection, model)
      "(#{names.map { |name| "#{model.quoted_table_name}.#{connection.quote_column_name(name)}" }.join(', ')})"
    end

    def row_sql(connection, values)
      "(#{columns.zip(values).map { |column, value| connection.quote(column.to_database(value)) }.join(', ')})"
    end
  end
end
