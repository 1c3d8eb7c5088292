# frozen_string_literal: true

module ReplicatesTo
  class Publisher
    # Finds outbox rows whose ids nobody in this process knows: triggers wrote them. The newest first, so that a few rows
    # need not wait for the many of a transaction before them.
    class Lookout
      def initialize
        @horizons = Concurrent::Map.new
      end

      # What was drawn when somebody last looked. A transaction that asks before it writes has only higher ids, however late
      # it commits; so nobody looks through rows that are long gone, but that vacuum could not remove yet.
      #
      # @param database [String]
      # @return [Integer]
      def horizon(database)
        @horizons.fetch(database, 0)
      end

      # @param context [Context]
      # @param above [Integer] a horizon of before
      # @return [Array<Integer>] rows that are this process's to publish now
      def take(context, database, above)
        context.within(database) do |outbox|
          ids, last = outbox.patiently do
            outbox.take_new(ReplicatesTo.config["source"], above: above, limit: BATCH, lease: Sweep::LEASE)
          end
          @horizons[database] = last
          ids
        end
      end
    end
  end
end
