# frozen_string_literal: true

module ReplicatesTo
  module Command
    # `rake replicates_to:status`: what waits in the outbox, what cannot be published, and the latest runs.
    class StatusReport
      # @param out [IO]
      def initialize(out, json: false)
        @out = out
        @json = json
      end

      # @return [void]
      def print
        outboxes = Status.outboxes
        raise ConfigurationError, Outbox::Statements::MISSING if outboxes.empty?

        source = ReplicatesTo.config["source"]
        counts = outboxes.map { |outbox| outbox.counts(source) }
        failing = outboxes.flat_map { |outbox| outbox.failing(source) }
        runs = outboxes.flat_map { |outbox| outbox.runs.list(source) }
        @json ? print_json(counts, failing, runs) : print_text(counts, failing, runs)
      end

      private

      def print_json(counts, failing, runs)
        counts.each { |count| @out.puts JSON.generate(count) }
        failing.each { |row| @out.puts JSON.generate(row.to_h) }
        runs.each { |run| @out.puts JSON.generate(run: run.id, **run.to_h.slice(:model, :destinations, :state, :done, :total, :failed)) }
      end

      def print_text(counts, failing, runs)
        counts.each do |count|
          oldest = count[:oldest_seconds] ? ", the oldest #{count[:oldest_seconds]} s" : ""
          @out.puts "outbox  #{count[:rows]} rows#{oldest}, #{count[:failing]} cannot be published"
        end
        failing.each { |row| @out.puts "  #{row.model} #{row.primary_key}  #{row.attempts} attempts  #{row.error}" }
        runs.each do |run|
          @out.puts "run #{run.id}  #{run.model} -> #{run.destinations.join(', ')}  #{run.state}  " \
                    "#{run.done}/#{run.total || '?'} rows  #{run.failed} failed"
        end
      end
    end
  end
end
