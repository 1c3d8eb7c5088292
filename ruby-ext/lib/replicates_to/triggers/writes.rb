# frozen_string_literal: true

require "replicates_to/triggers/statement"

module ReplicatesTo
  module Triggers
    # What this process writes to tables whose triggers note it. Nobody tells it the ids of those outbox rows, and to ask
    # would cost the transaction a statement; so once it has committed, the publisher looks for them. What is overlooked
    # here (a cascade from another table, a function that writes) the sweep finds.
    module Writes
      module_function

      # @param connection [ActiveRecord::ConnectionAdapters::AbstractAdapter]
      # @param sql [String] a statement on its way to the database
      # @yield sends it
      # @return [Object] the block's value
      def around(connection, sql, &block)
        database = noted?(sql) && database_of(connection, sql)
        return yield unless database

        above = ReplicatesTo.publisher.horizon(database)
        transaction = connection.current_transaction
        return yield_and_look(connection, database, above, &block) unless transaction.open? && transaction.joinable?

        transaction.replicates_to_notes.look(database, above)
        yield
      end

      def noted?(sql)
        ReplicatesTo.configured? && Statement.writes_rows?(sql) && Triggers.on? && Noting.on?
      end
      private_class_method :noted?

      # @return [String, nil] name of the connection whose tables the statement writes to
      def database_of(connection, sql)
        databases = Registry.databases_of(connection.pool)
        return if databases.empty?

        table = Statement.table(sql)
        table ? databases[table] : databases.find { |name, _| sql.include?(name) }&.last
      end
      private_class_method :database_of

      def yield_and_look(connection, database, above)
        yield.tap { ReplicatesTo.publisher.committed(connection, database, [], above: above) { nil } }
      end
      private_class_method :yield_and_look
    end
  end
end
