# frozen_string_literal: true

module ReplicatesTo
  class Publisher
    # What becomes of outbox rows that wait for nothing more: delivered ones leave the outbox, refused ones get their
    # error and step back, those that found the queue full are the sweep's again.
    class Settlement
      # A row that cannot be published is tried again after 5 s, 10 s, 20 s, … 5 min.
      BACKOFF_BASE = 5
      BACKOFF_MAX = 300
      ERROR_LENGTH_MAX = 2_000

      # @return [Integer] rows that Kafka has acknowledged, and rows that could not be published, since the process began
      attr_reader :acknowledged, :failed

      # @yieldparam change [Change] that was refused, once its row says so
      def initialize(&refused)
        @refused = refused
        @unsettled = {}
        @acknowledged = @failed = 0
      end

      # @param settled [Hash{String => InFlight::Settled}] by database
      # @return [void]
      def add(settled)
        settled.each do |database, of_database|
          waiting = @unsettled[database] ||= InFlight::Settled.new([], [], [])
          waiting.left.concat(of_database.left)
          waiting.delivered.concat(of_database.delivered)
          waiting.refused.concat(of_database.refused)
          @acknowledged += of_database.delivered.size
          @failed += of_database.refused.size
        end
      end

      # Kept until it went through: a database that is away must not make a delivered row look undelivered for longer
      # than it is away.
      #
      # @param context [Context] where the outboxes are
      # @return [void]
      def write(context)
        failures = @unsettled.keys.filter_map do |database|
          context.within(database) { |outbox| write_in(outbox, @unsettled[database]) }
          @unsettled.delete(database)
          nil
        rescue StandardError => e
          e
        end
        raise failures.first if failures.any?
      end

      private

      def write_in(outbox, settled)
        settled.delivered.group_by(&:generation).each do |generation, rows|
          outbox.patiently { outbox.settle(rows.flat_map(&:ids), generation) }
        end
        settled.delivered.clear
        outbox.patiently { outbox.release(settled.left) }
        settled.left.clear
        settled.refused.shift.then { |change| mark(outbox, change) } while settled.refused.any?
      end

      def mark(outbox, change)
        row = change.row
        outbox.patiently { outbox.fail(row.ids, text(change.error), [BACKOFF_BASE * (2**row.attempts), BACKOFF_MAX].min) }
        ActiveSupport::Notifications.instrument(
          "error.replicates_to", kind: change.kind, model: row.model, primary_key: row.primary_key,
                                 destination: change.destination, exception: change.error
        )
        @refused&.call(change)
      end

      # No database takes a NUL byte, and a page of SQL helps nobody.
      def text(error)
        error.message.to_s.dup.force_encoding(Encoding::UTF_8).scrub.delete("\0")[0, ERROR_LENGTH_MAX]
      end
    end
  end
end
