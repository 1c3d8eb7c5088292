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
        tables = Statement.tables(sql) if noted?
        database = tables && Registry.databases_of(connection.pool).values_at(*tables).compact.first
        return yield unless database

        above = ReplicatesTo.publisher.horizon(database)
        transaction = connection.current_transaction
        return yield_and_look(connection, database, above, &block) unless transaction.open? && transaction.joinable?

        transaction.replicates_to_notes.look(database, above)
        yield
      end

      def noted?
        ReplicatesTo.configured? && Triggers.on? && Noting.on?
      end
      private_class_method :noted?

      def yield_and_look(connection, database, above)
        yield.tap { ReplicatesTo.publisher.committed(connection, database, [], above: above) { nil } }
      end
      private_class_method :yield_and_look
    end
  end
end
