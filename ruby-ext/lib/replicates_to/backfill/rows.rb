# frozen_string_literal: true

module ReplicatesTo
  class Backfill
    # Reads the rows of a run in the order of their primary key, each batch in a transaction of its own.
    class Rows
      # Counting a larger table would take longer than it is worth; PostgreSQL estimates it.
      COUNTED_MAX = 1_000_000

      # @param options [Options]
      def initialize(options)
        @options = options
        @model = options.model
        @key = PrimaryKey.of(@model)
      end

      # @param cursor [String, nil] primary key of the last row read, as JSON
      # @return [Array<ActiveRecord::Base>] the next rows, with the associations that computes read
      def after(cursor)
        neutral do
          relation = selected.reorder(*@key.names.map(&:to_sym)).limit(@options.batch)
          relation = @key.after(relation, @key.values(JSON.parse(cursor))) if cursor
          FreshRows.load(relation, @options.destinations)
        end
      end

      # @return [String] where a run that stops behind this row continues
      def cursor(record)
        JSON.generate(@key.parts(@key.values_of(record)))
      end

      # @return [(Integer, Boolean)] rows, and whether that is an estimate
      def count
        estimate = estimated_rows
        return [estimate, true] if estimate > COUNTED_MAX

        [neutral { selected.count }, false]
      end

      private

      # Scopes of the model itself do not apply, the one that was asked for does.
      def selected
        relation = @model.unscoped
        relation = relation.public_send(@options.scope) if @options.scope
        @options.where ? relation.where(@options.where) : relation
      end

      def neutral(&block)
        connection = RailsPrivate.connection_of(@model)
        Neutral.on(connection) { Outbox.on(connection).reading(&block) }
      end

      def estimated_rows
        connection = RailsPrivate.connection_of(@model)
        return 0 if Outbox.on(connection).is_a?(Outbox::SQLite)

        plan = connection.select_value("explain (format json) #{selected.to_sql}")
        JSON.parse(plan).dig(0, "Plan", "Plan Rows").to_i
      end
    end
  end
end
