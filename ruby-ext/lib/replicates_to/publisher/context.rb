# frozen_string_literal: true

module ReplicatesTo
  class Publisher
    # Where the publisher reads rows: on connections of its own, with nothing of a request around.
    class Context
      def initialize
        @connections = RailsPrivate::OwnConnections.new
        @connections.adopt
      end

      # @return [Array<String>] that the application is configured for
      def databases
        @connections.follow_configuration
        @connections.databases
      end

      # @return [Boolean] whether changes are noted in a database
      def outbox?(database)
        within(database) { |outbox| outbox.nil? ? false : outbox.exists? }
      end

      # @param database [String]
      # @yieldparam outbox [Outbox::Statements, nil] nil on a database that replicates_to does not support
      def within(database)
        @connections.follow_configuration
        executor.wrap do
          connection = @connections.connection(database)
          Neutral.on(connection) { yield outbox_on(connection) }
        end
      end

      # @param error [StandardError]
      # @raise the error, when it is the database that cannot answer now, rather than a row's own fault
      def raise_if_lost(database, error)
        raise error if error.is_a?(ActiveRecord::ConnectionNotEstablished) || error.is_a?(ConfigurationError)

        connection = @connections.connection(database)
        raise error if !connection.active? || Outbox.on(connection).busy?(error)
      end

      # @return [void]
      def forget
        @connections.disconnect
        Outbox::Identity.readable.clear
      end

      private

      def outbox_on(connection)
        Outbox.on(connection) if Outbox.supports?(connection)
      end

      def executor
        defined?(Rails.application) && Rails.application ? Rails.application.executor : ActiveSupport::Executor
      end
    end
  end
end
