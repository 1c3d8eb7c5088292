# frozen_string_literal: true

module ReplicatesTo
  class Publisher
    # Takes rows that nobody has published: those of killed processes, of full queues, of transactions too large for the
    # fast way, and those whose time to be tried again has come.
    class Sweep
      LIMIT = 1_000
      # How long other processes leave the rows that this one took.
      LEASE = 30
      # Every so many sweeps look at the whole table: a transaction that drew its ids long ago may commit below the floor.
      FULL_EVERY = 12

      # @return [Float, nil] age of the oldest outbox row when last looked at
      attr_reader :oldest_seconds

      def initialize
        @floors = Hash.new(0)
        @count = 0
        @taken = {}
        @due_at = monotonic
      end

      # @return [Float] seconds until the next one
      def due_in
        @due_at - monotonic
      end

      # @return [void]
      def postpone
        @due_at = monotonic + ReplicatesTo.config["sweep.interval"]
      end

      # A full batch means that more is waiting: the next one follows as soon as Kafka has acknowledged this one.
      #
      # @param taken [Integer] rows
      # @param room [Integer] rows that it might have taken
      # @return [void]
      def done(taken, room)
        postpone if taken < [LIMIT, room].min
      end

      # @return [Boolean] whether rows of the last sweep still wait for Kafka
      def unfinished?(in_flight)
        @taken.any? { |database, ids| ids.any? { |id| in_flight.include?(database, id) } }
      end

      # @param context [Context]
      # @param room [Integer] rows at most: more than the queue takes would only wait for their lease to end
      # @yieldparam ids [Array<Integer>] to publish
      # @return [Integer] how many
      def run(context, database, after, room)
        event = {rows: 0, published: 0, failed: 0, oldest_seconds: nil}
        ActiveSupport::Notifications.instrument("sweep.replicates_to", event) do
          ids = context.within(database) { |outbox| outbox.patiently { take(outbox, database, after, room, event) } }
          yield ids
          event[:rows] = event[:published] = ids.size
          ids.size
        end
      end

      private

      def take(outbox, database, after, room, event)
        outbox.identity.remember
        source = ReplicatesTo.config["source"]
        @floors[database] = 0 if (@count += 1) % FULL_EVERY == 1
        lowest, @oldest_seconds = outbox.oldest(source, @floors[database])
        event[:oldest_seconds] = @oldest_seconds
        @floors[database] = lowest if lowest
        @taken[database] =
          outbox.take(source, after: after, floor: @floors[database], limit: [LIMIT, room].min, lease: LEASE) || []
      end

      def monotonic
        Process.clock_gettime(Process::CLOCK_MONOTONIC)
      end
    end
  end
end
