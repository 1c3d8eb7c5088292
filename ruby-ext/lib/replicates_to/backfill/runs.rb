# frozen_string_literal: true

require "socket"

module ReplicatesTo
  class Backfill
    # The runs a database remembers, and who works on them. All SQL on replicates_to_runs and replicates_to_run_ranges.
    class Runs < SQL
      LEASE = 3 * HEARTBEAT

      # One run as this process knows it; `failed` counts rows that could not be encoded.
      Run = Struct.new(:id, :model, :destinations, :state, :fence, :fingerprints, :total, :estimated, :cursor, :done, :failed,
                       keyword_init: true) do
        # @return [Run] that is written nowhere
        def self.rehearsal(options)
          new(model: options.model.name, destinations: options.destinations.map(&:to_s), state: "running", done: 0, failed: 0)
        end
      end

      # Continues the unfinished run of this model, destinations and selection, or begins one.
      #
      # @param options [Options]
      # @param fingerprints [Hash{String => String}] of the mappings, by destination
      # @return [Run] leased to this process
      # @raise [RunConflict]
      def take_up(options, fingerprints)
        @connection.transaction do
          Outbox.on(@connection).lock("replicates_to_runs")
          unfinished = find_unfinished(options)
          refuse_live(unfinished) if unfinished
          if unfinished && !options.another
            refuse_other_mapping(unfinished, fingerprints)
            next lease(unfinished)
          end

          cancel(unfinished) if unfinished
          lease(insert(options, fingerprints))
        end
      end

      # @return [void]
      def fenced(run, version)
        execute("update replicates_to_runs set fence = %<fence>s, total = %<total>s where id = %<id>s",
                fence: version, total: run.total, id: run.id)
      end

      # Says that this process is alive.
      #
      # @raise [RunConflict] when another one has taken the run over
      def keep(run)
        updated = execute(<<~SQL, until: later(LEASE), id: run.id, owner: owner)
          update replicates_to_run_ranges set lease_until = %<until>s where run_id = %<id>s and lease_owner = %<owner>s
        SQL
        raise RunConflict, "run #{run.id} was taken over by another process" if updated.zero?
      end

      # @raise [RunConflict]
      def save(run)
        keep(run)
        execute(<<~SQL, cursor: run.cursor, done: run.done, failed: run.failed, id: run.id, owner: owner)
          update replicates_to_run_ranges set cursor = %<cursor>s, done = %<done>s, failed = %<failed>s
          where run_id = %<id>s and lease_owner = %<owner>s
        SQL
      end

      # @return [void]
      def finish(run)
        execute("update replicates_to_runs set state = %<state>s, finished_at = %<now>s where id = %<id>s",
                state: run.state, now: later(0), id: run.id)
      end

      # @return [void]
      def release(run)
        execute(<<~SQL, id: run.id, owner: owner)
          update replicates_to_run_ranges set lease_owner = null, lease_until = null
          where run_id = %<id>s and lease_owner = %<owner>s
        SQL
      end

      # @return [Array<Run>] newest first; one that nobody works on is shown as interrupted
      def list(source, limit: 20)
        runs(<<~SQL, source: source, limit: limit)
          #{SELECTION} where source = %<source>s order by replicates_to_runs.id desc limit %<limit>s
        SQL
      end

      private

      SELECTION = <<~SQL
        select replicates_to_runs.id, model, destinations, state, fence, fingerprints, total, cursor, done, failed,
               lease_until, lease_owner
        from replicates_to_runs join replicates_to_run_ranges on run_id = replicates_to_runs.id
      SQL
      private_constant :SELECTION

      def find_unfinished(options)
        runs(<<~SQL, **identity(options)).first
          #{SELECTION} where source = %<source>s and model = %<model>s and destinations = %<destinations>s and scope = %<scope>s
            and state in ('running', 'paused') order by replicates_to_runs.id desc limit 1
        SQL
      end

      def insert(options, fingerprints)
        id = ids(<<~SQL, fingerprints: JSON.generate(fingerprints), now: later(0), **identity(options)).first
          insert into replicates_to_runs (source, model, destinations, scope, fingerprints, state, started_at)
          values (%<source>s, %<model>s, %<destinations>s, %<scope>s, %<fingerprints>s, 'running', %<now>s) returning id
        SQL
        execute("insert into replicates_to_run_ranges (run_id) values (%<id>s)", id: id)
        Run.new(id: id, model: options.model.name, destinations: options.destinations.map(&:to_s), state: "running",
                fingerprints: fingerprints, done: 0, failed: 0)
      end

      def identity(options)
        {source: ReplicatesTo.config["source"], model: options.model.name, scope: options.selection,
         destinations: JSON.generate(options.destinations.map(&:to_s).sort)}
      end

      def lease(run)
        updated = execute(<<~SQL, owner: owner, until: later(LEASE), now: later(0), id: run.id)
          update replicates_to_run_ranges set lease_owner = %<owner>s, lease_until = %<until>s
          where run_id = %<id>s and (lease_until is null or lease_until <= %<now>s)
        SQL
        raise RunConflict, "run #{run.id} is running elsewhere" if updated.zero?

        run.state = "running"
        run
      end

      def refuse_live(run)
        return if run.state == "interrupted"

        raise RunConflict, "run #{run.id} is running elsewhere"
      end

      def refuse_other_mapping(run, fingerprints)
        return if run.fingerprints == fingerprints

        raise RunConflict, "run #{run.id} was begun under mapping #{run.fingerprints.values.join(', ')}, " \
                           "which is #{fingerprints.values.join(', ')} now; NEW=1 begins another"
      end

      def cancel(run)
        execute("update replicates_to_runs set state = 'cancelled', finished_at = %<now>s where id = %<id>s", now: later(0), id: run.id)
      end

      def runs(sql, **values)
        alive = select("select run_id from replicates_to_run_ranges where lease_until > %<now>s", now: later(0)).map { |row| row["run_id"] }
        select(sql, **values).map { |row| to_run(row, alive.include?(row["id"])) }
      end

      def to_run(row, alive)
        state = row["state"] == "running" && !alive ? "interrupted" : row["state"]
        Run.new(id: row["id"], model: row["model"], destinations: JSON.parse(row["destinations"]), state: state, fence: row["fence"],
                fingerprints: JSON.parse(row["fingerprints"]), total: row["total"], cursor: row["cursor"], done: row["done"],
                failed: row["failed"])
      end

      def later(seconds)
        Outbox.on(@connection).later(seconds)
      end

      def owner
        @owner ||= "#{Socket.gethostname}:#{Process.pid}:#{SecureRandom.hex(4)}"
      end
    end
  end
end
