# frozen_string_literal: true

module ReplicatesTo
  # Publishes the existing rows of a model while the application goes on writing. Every row carries one version, drawn
  # at the fence before the first is read: any later change has a higher one and wins.
  class Backfill
    # A run's process says this often that it is alive; others leave it alone for three times as long.
    HEARTBEAT = 10

    # @param options [Options]
    # @param progress [Progress]
    # @param producer [Native::Producer]
    def initialize(options, progress:, producer: Kafka.producer)
      @options = options
      @progress = progress
      @producer = producer
      @runs = Runs.new(connection)
      @rows = Rows.new(options)
    end

    # @return [Runs::Run] as it ended
    # @raise [ConfigurationError, FenceTimeout, RunConflict, MappingError, Error]
    def run
      refuse_memory
      Outbox.on(connection).verify
      mappings = @options.mappings
      return rehearse(mappings) if @options.dry_run

      run = @runs.take_up(@options, fingerprints(mappings))
      work(run, mappings)
    ensure
      @producer.close(0)
    end

    private

    # A run that says it succeeded has put its records where they outlive it.
    def refuse_memory
      return if @options.dry_run || !ReplicatesTo.config.memory?

      raise ConfigurationError, "a backfill publishes to Kafka, and transport is memory; DRY_RUN=1 reads and encodes every row"
    end

    def work(run, mappings)
      run.total, run.estimated = @rows.count unless run.total
      run.fence ||= pass_fence(run)
      @progress.started(run, mappings)
      publish(run, mappings)
      run.state = run.failed.zero? ? "succeeded" : "failed"
      @runs.finish(run)
      @progress.ended(run)
      run
    rescue Interrupt
      run.state = "interrupted"
      @progress.ended(run)
      raise
    ensure
      @runs.release(run)
    end

    def pass_fence(run)
      version = Fence.on(connection, timeout: @options.fence_timeout).pass do |obstacle|
        @progress.waiting(obstacle)
        @runs.keep(run)
      end
      @runs.fenced(run, version)
      version
    end

    def publish(run, mappings)
      pipeline = Pipeline.new(@producer, run, mappings)
      beat = Pace.new(HEARTBEAT)
      rate = Throttle.new(@options.rate)
      each_batch(run, rate) do |records|
        pipeline.add(records, @rows.cursor(records.last)) { beat.due { @runs.keep(run) } }
        save(run, pipeline)
      end
      pipeline.finish { beat.due { @runs.keep(run) } }
      save(run, pipeline)
    end

    def each_batch(run, rate)
      cursor = run.cursor
      until (records = @rows.after(cursor)).empty?
        yield records
        cursor = @rows.cursor(records.last)
        rate.passed(records.size)
      end
    end

    # Only what Kafka has acknowledged counts: a run that is killed here begins again behind the last saved cursor.
    def save(run, pipeline)
      acknowledged = pipeline.acknowledged
      return unless acknowledged

      run.cursor = acknowledged.cursor
      run.done += acknowledged.rows
      run.failed += acknowledged.failed
      @runs.save(run)
      @progress.report(run)
    end

    # Reads and encodes every row, and publishes none.
    def rehearse(mappings)
      run = Runs::Run.rehearsal(@options)
      run.total, run.estimated = @rows.count
      each_batch(run, Throttle.new(@options.rate)) do |records|
        run.done += records.size
        run.failed += Pipeline.rehearse(records, mappings)
        @progress.report(run)
      end
      run.state = run.failed.zero? ? "succeeded" : "failed"
      @progress.ended(run)
      run
    end

    def fingerprints(mappings)
      mappings.to_h { |mapping| [mapping.destination.to_s, mapping.fingerprint_hex] }
    end

    def connection
      RailsPrivate.connection_of(@options.model)
    end
  end
end

require "replicates_to/backfill/options"
require "replicates_to/backfill/pace"
require "replicates_to/backfill/runs"
require "replicates_to/backfill/fence"
require "replicates_to/backfill/rows"
require "replicates_to/backfill/pipeline"
require "replicates_to/backfill/progress"
