# frozen_string_literal: true

module ReplicatesTo
  module Receiver
    # Applies one record: one transaction, in it the version guard, then the handler's write. Either both stay or none. What
    # is written carries the record's source as its origin, up to and including the commit.
    class Applier
      # @param configuration [Configuration]
      def initialize(configuration)
        @configuration = configuration
      end

      # @param record [Record]
      # @return [Outcome]
      def apply(record)
        handler = @configuration.handler(record.model)
        return unknown_model(record) unless handler

        connection = nil
        Origin.within(record.source) do
          handler.database.transaction do
            connection = handler.database.connection
            write(record, handler, connection)
          end
        end || Outcome.new(:invalid_record, message: "the handler rolled back")
      rescue StandardError => e
        refusal(e, record, connection)
      end

      private

      def write(record, handler, connection)
        applied = VersionGuard.new(connection).advance(record)
        return Outcome.new(:applied, unknown_attributes: handler.call(record)) unless applied
        return Outcome.new(:applied) if applied == record.version

        Outcome.new(:stale, version: applied)
      end

      def unknown_model(record)
        Outcome.new(:unknown_model, message: "model #{record.model} has neither upsert nor on in this receiver")
      end

      def refusal(error, record, connection)
        outcome = Refusal.of(error, connection: connection)
        Report.error(record, error) if outcome.code == :internal_error
        outcome
      end
    end
  end
end
