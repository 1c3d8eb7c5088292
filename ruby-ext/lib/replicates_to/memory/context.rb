# frozen_string_literal: true

module ReplicatesTo
  class Memory
    # Where rows are read: on the connection that has just committed them, because a test's transaction around the commit
    # hides them from every other.
    class Context
      # @param connection [ActiveRecord::ConnectionAdapters::AbstractAdapter]
      # @param database [String] the name that its models call it by
      def initialize(connection, database)
        @connection = connection
        @database = database
      end

      # @param database [String] this one, or another that dependants live in
      # @yieldparam outbox [Outbox::Statements]
      def within(database)
        connection = database == @database ? @connection : RailsPrivate.connection_to(database)
        Neutral.on(connection) { yield Outbox.on(connection) }
      end

      # Connections are the application's.
      #
      # @return [void]
      def forget; end

      # A database that is away refuses the next statement as well, and nobody tries again later.
      #
      # @return [void]
      def raise_if_lost(_database, _error); end
    end
  end
end
