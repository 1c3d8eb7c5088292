# frozen_string_literal: true

module ReplicatesTo
  class Publisher
    # Where rows are read: on connections of the publisher's own, without query cache, in the default locale and time
    # zone, and with nothing of a request around, so that a compute gives the same value in every process.
    class Context
      def initialize
        @connections = RailsPrivate::OwnConnections.new
        @connections.adopt
      end

      # @return [Array<String>] databases that have an outbox
      def databases
        @connections.follow_configuration
        @connections.databases.select { |database| outbox?(database) }
      end

      # @param database [String]
      # @yieldparam outbox [Outbox::Statements]
      def within(database)
        @connections.follow_configuration
        executor.wrap do
          connection = @connections.connection(database)
          connection.uncached do
            I18n.with_locale(I18n.default_locale) { Time.use_zone(Time.zone_default) { yield Outbox.on(connection) } }
          end
        end
      end

      # `console --sandbox` opens a transaction on every connection there is, and rolls it back at its end. Whatever
      # was published from there, nobody could note down.
      #
      # @return [Boolean]
      def sandbox?
        @connections.databases.any? { |database| @connections.connection(database).transaction_open? }
      end

      # @param error [ActiveRecord::StatementInvalid]
      # @raise the error, when it is the connection that failed rather than the statement
      def raise_if_lost(database, error)
        raise error if error.is_a?(ActiveRecord::ConnectionNotEstablished) || !@connections.connection(database).active?
      end

      # @return [void]
      def forget
        @connections.disconnect
      end

      private

      def outbox?(database)
        connection = @connections.connection(database)
        Outbox.supports?(connection) && Outbox.on(connection).exists?
      end

      def executor
        defined?(Rails.application) && Rails.application ? Rails.application.executor : ActiveSupport::Executor
      end
    end
  end
end
