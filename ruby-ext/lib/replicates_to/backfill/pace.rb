# frozen_string_literal: true

module ReplicatesTo
  class Backfill
    # Something that happens every so often while other things go on.
    class Pace
      # @param seconds [Numeric] between two times
      # @param first_after [Numeric] until the first
      def initialize(seconds, first_after: seconds)
        @seconds = seconds
        @next_at = monotonic + first_after
      end

      # @yield when it is time again
      def due
        return if monotonic < @next_at

        @next_at = monotonic + @seconds
        yield
      end

      private

      def monotonic
        Process.clock_gettime(Process::CLOCK_MONOTONIC)
      end
    end

    # Holds a run at a number of rows a second.
    class Throttle
      # @param rate [Integer, nil] rows a second; nil: as fast as it goes
      def initialize(rate)
        @rate = rate
        @begun = Process.clock_gettime(Process::CLOCK_MONOTONIC)
        @rows = 0
      end

      # @param rows [Integer] just read; waits until they fit the rate
      # @return [void]
      def passed(rows)
        return unless @rate

        @rows += rows
        ahead = (@rows.to_f / @rate) - (Process.clock_gettime(Process::CLOCK_MONOTONIC) - @begun)
        sleep(ahead) if ahead.positive?
      end
    end
  end
end
