# frozen_string_literal: true

module ReplicatesTo
  module Command
    # `rake replicates_to:sweep`: sweeps until it is stopped, or until nothing is left to sweep.
    class ForegroundSweep
      # Between two looks while Kafka has not acknowledged yet.
      PAUSE = 0.2

      # @param out [IO]
      # @param after [Numeric] seconds; younger rows are left to the process that wrote them
      def initialize(out, after:, json: false)
        @out = out
        @after = after
        @json = json
        @swept = 0
      end

      # @return [Boolean] whether every row could be published
      def run(once:)
        loop do
          taken = ReplicatesTo.publisher.sweep(@after)
          @swept += taken
          break if once && !waiting?

          sleep(pause(once, taken))
        end
        report
      end

      private

      # Rows of another process's sweep count as well: they are not delivered before they are gone.
      def waiting?
        Status.outboxes.any? { |outbox| outbox.older?(ReplicatesTo.config["source"], @after) }
      end

      def pause(once, taken)
        once || taken.positive? ? PAUSE : ReplicatesTo.config["sweep.interval"]
      end

      def report
        failing = Status.outboxes.flat_map { |outbox| outbox.failing(ReplicatesTo.config["source"]) }
        failing.each { |row| @out.puts(@json ? JSON.generate(row.to_h) : text(row)) }
        @out.puts(@json ? JSON.generate(swept: @swept, failing: failing.size) : "swept #{@swept} rows, #{failing.size} cannot be published")
        failing.empty?
      end

      def text(row)
        "#{row.model} #{row.primary_key}  #{row.attempts} attempts  #{row.error}"
      end
    end
  end
end
