# frozen_string_literal: true

module ReplicatesTo
  class Backfill
    # Tells people, and programs, how far a run is.
    class Progress
      EVERY = 10
      EVERY_ON_A_TERMINAL = 0.5

      # @param out [IO]
      # @param json [Boolean] one object a line
      def initialize(out, json: false)
        @out = out
        @json = json
        @terminal = !json && out.respond_to?(:tty?) && out.tty?
        @pace = Pace.new(@terminal ? EVERY_ON_A_TERMINAL : EVERY)
        @begun = monotonic
      end

      # @return [void]
      def started(run, mappings)
        @begun, @done_before = monotonic, run.done
        return if @json

        id = run.fence & ((1 << VERSION_BITS) - 1)
        line "run #{run.id}  #{subject(run)}  fence #{id}  mapping #{mappings.map(&:fingerprint_hex).join(', ')}"
      end

      # @param obstacle [String] what the fence waits for
      # @return [void]
      def waiting(obstacle)
        @json ? line(JSON.generate(fence: obstacle)) : line("fence: #{obstacle}")
      end

      # @return [void]
      def report(run)
        @pace.due { tell(run) }
      end

      # @return [void]
      def ended(run)
        notify(run)
        return line(JSON.generate(fields(run))) if @json

        name = run.id ? "run #{run.id}" : "dry run"
        hint = run.state == "interrupted" ? "  the same line continues it" : ""
        line "#{name}  #{run.state}  #{number(run.done)} rows  #{number(run.failed)} failed  #{clock(monotonic - @begun)}#{hint}"
      end

      private

      def tell(run)
        notify(run)
        return line(JSON.generate(fields(run))) if @json

        line text(run), rewrite: @terminal
      end

      def text(run)
        percent = run.total.to_i.positive? ? [100.0 * run.done / run.total, 100.0].min : 100.0
        "#{subject(run)}  #{format('%.1f', percent)} %  #{number(run.done)}/#{'~' if run.estimated}#{number(run.total)}  " \
          "#{number(rate(run))} rows/s  ETA #{eta(run) ? clock(eta(run)) : '-'}"
      end

      def fields(run)
        {run: run.id, model: run.model, destinations: run.destinations, state: run.state, done: run.done, failed: run.failed,
         total: run.total, rows_per_second: rate(run), eta_seconds: eta(run)}
      end

      def notify(run)
        ActiveSupport::Notifications.instrument("backfill.replicates_to", fields(run).except(:failed, :eta_seconds))
      end

      def subject(run)
        "#{run.model} -> #{run.destinations.join(', ')}"
      end

      def rate(run)
        seconds = monotonic - @begun
        seconds.positive? ? ((run.done - @done_before.to_i) / seconds).round : 0
      end

      def eta(run)
        left = run.total.to_i - run.done
        return 0 unless left.positive?

        rate(run).positive? ? (left.to_f / rate(run)).ceil : nil
      end

      def line(text, rewrite: false)
        @out.print("\r\e[K") if @terminal
        rewrite ? @out.print(text) : @out.puts(text)
        @out.flush
      end

      def number(value)
        value.to_i.to_s.reverse.scan(/\d{1,3}/).join(",").reverse
      end

      def clock(seconds)
        seconds = seconds.to_i
        format("%02d:%02d:%02d", seconds / 3600, seconds / 60 % 60, seconds % 60)
      end

      def monotonic
        Process.clock_gettime(Process::CLOCK_MONOTONIC)
      end
    end
  end
end
