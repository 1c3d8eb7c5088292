# frozen_string_literal: true

module ReplicatesTo
  # Plain SQL on one connection.
  #
  # Values are quoted into the text rather than bound: with prepared statements switched off (PgBouncer), Rails'
  # SQLite adapter does not bind at all.
  class SQL
    # @param connection [ActiveRecord::ConnectionAdapters::AbstractAdapter]
    def initialize(connection)
      @connection = connection
    end

    private

    # @return [Array<Hash>]
    def select(sql, **values)
      return [] if values[:ids] == []

      @connection.exec_query(fill(sql, values), "ReplicatesTo").to_a
    end

    # @return [Array<Integer>]
    def ids(sql, **values)
      select(sql, **values).map { |row| row["id"] }
    end

    # @return [Integer] rows affected
    def execute(sql, **values)
      return 0 if values[:ids] == []

      @connection.exec_update(fill(sql, values), "ReplicatesTo")
    end

    def fill(sql, values)
      format(sql, **values.transform_values { |value| literal(value) })
    end

    def literal(value)
      case value
      when Arel::Nodes::SqlLiteral then value
      when Array then value.map { |element| literal(element) }.join(", ")
      else @connection.quote(value)
      end
    end
  end
end
