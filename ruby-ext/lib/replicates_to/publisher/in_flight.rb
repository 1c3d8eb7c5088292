# frozen_string_literal: true

module ReplicatesTo
  class Publisher
    # The outbox rows whose records are on their way to Kafka. A row is settled when every one of its records has a
    # report. Used by the publisher's thread alone, but for {#size}.
    class InFlight
      # remaining counts records without a report; left means that a record found the queue full.
      Entry = Struct.new(:database, :change, :remaining, :left)

      # Rows to delete, changes to mark with their error, and ids of rows that found the queue full, for one database.
      Settled = Struct.new(:delivered, :refused, :left)

      def initialize
        @entries = {}
        @tokens = {}
        @next_token = 0
      end

      # @return [Integer] rows
      def size
        @entries.size
      end

      # @return [Boolean] whether this process has the row on its way already
      def include?(database, id)
        @tokens.key?([database, id])
      end

      # @return [Integer] the token that the reports of this row's records carry
      def open(database, change)
        token = (@next_token += 1)
        @entries[token] = Entry.new(database, change, 0, false)
        change.row.ids.each { |id| @tokens[[database, id]] = token }
        token
      end

      # @return [void]
      def enqueued(token)
        @entries.fetch(token).remaining += 1
      end

      # @return [void]
      def queue_full(token)
        @entries.fetch(token).left = true
      end

      # @param reports [Array<(Integer, String)>] token, Kafka's error or nil
      # @return [Array<Integer>] tokens that wait for nothing more
      def report(reports)
        reports.filter_map do |token, error|
          entry = @entries.fetch(token)
          entry.remaining -= 1
          entry.change.refuse(Error.new(error), kind: :kafka) if error
          token if entry.remaining.zero?
        end
      end

      # @param tokens [Array<Integer>]
      # @return [Hash{String => Settled}] by database
      def settle(tokens)
        tokens.each_with_object({}) do |token, settled|
          next unless @entries.key?(token) && @entries[token].remaining.zero?

          entry = @entries.delete(token)
          ids = entry.change.row.ids.each { |id| @tokens.delete([entry.database, id]) }
          of_database = settled[entry.database] ||= Settled.new([], [], [])
          next of_database.refused << entry.change if entry.change.error

          entry.left ? of_database.left.concat(ids) : of_database.delivered << entry.change.row
        end
      end
    end
  end
end
