# frozen_string_literal: true

module ReplicatesTo
  class Publisher
    # The fan-outs that this process has met. They go on by turns, a slice each, so that a large one holds up neither the
    # others nor the rows that are committed meanwhile. Bounded: what does not fit is met again by a sweep.
    class FanOuts
      WAITING_MAX = 1_000
      # What one turn does at most: dependants noted, and seconds begun.
      ROWS = FanOut::Slice::SIZE
      SECONDS = 0.1

      def initialize
        @waiting = {}
      end

      # @return [Boolean]
      def empty?
        @waiting.empty?
      end

      # @param database [String]
      # @param id [Integer] outbox row
      # @param others [Array<Integer>] outbox rows that it stands for
      # @return [void]
      def add(database, id, others = [])
        @waiting[[database, id]] = others if @waiting.size < WAITING_MAX
      end

      # @param context [Context, Memory::Context]
      # @yieldparam database [String]
      # @yieldparam ids [Array<Integer>] outbox rows that were made; with an error, the fan-out's own
      # @yieldparam error [StandardError, nil] why a fan-out cannot go on
      # @return [void]
      def turn(context, &block)
        rows = 0
        deadline = monotonic + SECONDS
        rows += advance(context, *take, &block) until empty? || rows >= ROWS || monotonic > deadline
      end

      private

      def take
        @waiting.shift.flatten(1)
      end

      # @return [Integer] rows that were made
      def advance(context, database, id, *others)
        noted = begin
          FanOut::Slice.new(context, database, id, others).run
        rescue StandardError => e
          yield database, [id], e
          nil
        end
        return 0 unless noted

        add(database, id) if noted.more
        yield noted.database, noted.ids
        noted.ids.size
      end

      def monotonic
        Process.clock_gettime(Process::CLOCK_MONOTONIC)
      end
    end
  end
end
