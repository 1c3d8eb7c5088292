# frozen_string_literal: true

module ReplicatesTo
  class Backfill
    # Draws the version of a run, and returns when every transaction that could have written a row under a lower version
    # has ended.
    module Fence
      # @param connection [ActiveRecord::ConnectionAdapters::AbstractAdapter] outside any transaction
      # @param timeout [Numeric] seconds
      # @return [PostgreSQL, SQLite]
      def self.on(connection, timeout:)
        outbox = Outbox.on(connection)
        outbox.is_a?(Outbox::SQLite) ? SQLite.new(outbox) : PostgreSQL.new(connection, outbox, timeout)
      end

      # One writer at a time: whoever draws an id is the only one writing, so nobody is in the middle of a change.
      class SQLite
        def initialize(outbox)
          @outbox = outbox
        end

        # @return [Integer] the version
        def pass
          @outbox.draw_version
        end
      end

      # A writer that drew its id before ours may still be uncommitted. Waiting for pg_snapshot_xmin to pass a
      # transaction id taken after the draw outlasts every one of them; waiting for xmax would not.
      class PostgreSQL < SQL
        POLL = 0.1
        TELL_EVERY = 5

        def initialize(connection, outbox, timeout)
          super(connection)
          @outbox = outbox
          @timeout = timeout
        end

        # @yieldparam obstacle [String] the session that holds the fence up, now and then
        # @return [Integer] the version
        # @raise [FenceTimeout]
        def pass
          raise Error, "a fence cannot pass inside a transaction, whose snapshot it would wait for" if @connection.transaction_open?

          version = @outbox.draw_version
          own = select("select pg_current_xact_id()::text as id").first["id"]
          deadline = monotonic + @timeout
          pace = Pace.new(TELL_EVERY, first_after: 1)
          until passed?(own)
            raise FenceTimeout, "fence did not pass within #{@timeout} s: #{obstacle}" if monotonic >= deadline

            pace.due { yield obstacle }
            sleep POLL
          end
          version
        end

        private

        def passed?(own)
          select("select pg_snapshot_xmin(pg_current_snapshot()) > %<own>s::xid8 as passed", own: own).first["passed"]
        end

        # The holder of the oldest running transaction id. Locks show it to everybody; names of other sessions only to
        # those who may see them.
        def obstacle
          row = select(<<~SQL).first
            select locks.pid, activity.state, activity.application_name, activity.datname, prepared.gid, current_database() as own,
                   to_char(clock_timestamp() - coalesce(activity.xact_start, prepared.prepared), 'HH24:MI:SS') as age
            from pg_locks locks
            left join pg_stat_activity activity on activity.pid = locks.pid
            left join pg_prepared_xacts prepared on prepared.transaction = locks.transactionid
            where locks.locktype = 'transactionid' and locks.granted and locks.mode = 'ExclusiveLock'
            order by age(locks.transactionid) desc limit 1
          SQL
          row ? describe(row) : "a transaction that has ended meanwhile"
        end

        def describe(row)
          return "waiting for prepared transaction #{row['gid']} (#{row['age']})" if row["gid"]

          elsewhere = row["datname"] == row["own"] ? "" : ", database #{row['datname']}"
          "waiting for pid #{row['pid']} (#{row['state'] || 'state hidden'} #{row['age']}, app=#{row['application_name']}#{elsewhere})"
        end

        def monotonic
          Process.clock_gettime(Process::CLOCK_MONOTONIC)
        end
      end
    end
  end
end
