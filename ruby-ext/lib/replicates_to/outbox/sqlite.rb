# frozen_string_literal: true

require "replicates_to/outbox/statements"

module ReplicatesTo
  module Outbox
    # The outbox in SQLite, for development: one writer at a time, so what it writes is in order by itself.
    class SQLite < Statements
      IDENTITY = Identity
      SLICE = 5_000
      # Times are text of one width, so that they compare as text.
      TIME = "%Y-%m-%d %H:%M:%S.%6N"
      IN_MEMORY = "a database in memory belongs to one connection: the publisher could not see its rows"
      BUSY_PAUSE = 0.01
      BUSY_SECONDS_MAX = 10

      # @param notes [Array<Note>]
      # @return [Array<Integer>] their ids
      def insert(source, notes)
        values = COLUMNS.each_index.map { |index| "json_extract(value, '$[#{index}]')" }
        notes.each_slice(SLICE).flat_map do |slice|
          ids(<<~SQL, source: source, notes: JSON.generate(slice.map(&:columns)), now: earlier(0))
            insert into replicates_to_outbox (source, #{COLUMNS.join(', ')}, created_at)
            select %<source>s, #{values.join(', ')}, %<now>s
            from json_each(%<notes>s) order by key
            returning id
          SQL
        end
      end

      # The write lock of the database is the sweep's lock.
      #
      # @return [Array<Integer>] ids that this process may publish
      def take(source, after:, floor:, limit:, lease:)
        ids(<<~SQL, source: source, floor: floor, before: earlier(after), now: earlier(0), limit: limit, lease: later(lease)).sort
          update replicates_to_outbox set next_at = %<lease>s where id in (
            select id from replicates_to_outbox
            where source = %<source>s and id >= %<floor>s and created_at <= %<before>s and (next_at is null or next_at <= %<now>s)
            order by id limit %<limit>s)
          returning id
        SQL
      end

      # @yield inside a transaction of its own
      def reading(&block)
        @connection.transaction(&block)
      end

      # The adapter would wait inside SQLite holding Ruby's lock, so that the writer it waits for cannot go on. The
      # publisher's connection does not wait there (busy_timeout 0); it waits here.
      #
      # @yield a statement that fails while another connection writes
      def patiently
        deadline = monotonic + BUSY_SECONDS_MAX
        begin
          yield
        rescue ActiveRecord::StatementInvalid => e
          raise unless busy?(e) && monotonic < deadline

          sleep BUSY_PAUSE
          retry
        end
      end

      # @return [Boolean] whether a statement failed only because another connection writes
      def busy?(error)
        error.cause.is_a?(SQLite3::BusyException)
      end

      # Becomes the one writer, by a write that changes nothing.
      #
      # @return [void]
      def lock(table)
        execute("update #{table} set id = id where 1 = 0")
      end

      # @param relation [ActiveRecord::Relation]
      # @return [ActiveRecord::Relation] whose rows nobody else can write, as this is the one writer now
      def lock_rows(relation)
        lock(TABLE)
        relation
      end

      # Every statement by itself: while a transaction of the publisher went from one to the next, a thread that wants to
      # write would wait for it with Ruby's lock in its hands, so that it could not go on. An id that one statement draws is
      # in order without it.
      #
      # @yield statements
      def locking
        yield
      end

      # @param relation [ActiveRecord::Relation]
      # @return [ActiveRecord::Relation] whose rows need no lock
      def lock_free_rows(relation)
        relation
      end

      # @param relation [ActiveRecord::Relation]
      # @return [ActiveRecord::Relation] whose rows nobody else can write, as this is the one writer now
      def lock_keys(relation)
        lock_rows(relation)
      end

      # @return [Boolean]
      def exists?
        select("select 1 from sqlite_master where type = 'table' and name = 'replicates_to_outbox'").any?
      end

      # @return [String] for `check`
      def describe
        "replicates_to_outbox, AUTOINCREMENT"
      end

      # @return [Object] the database's time in so many seconds, for {SQL}
      def later(seconds)
        (Time.now.utc + seconds).strftime(TIME)
      end

      # @return [Object] the database's time so many seconds ago, for {SQL}
      def earlier(seconds)
        later(-seconds)
      end

      private

      def ids_fault
        declared = select("select sql from sqlite_master where name = 'replicates_to_outbox'").first["sql"]
        return if declared.match?(/autoincrement/i)

        "replicates_to_outbox.id is not AUTOINCREMENT, so ids would be handed out twice and cannot be versions"
      end

      def lock_free_ids(ids)
        ids
      end

      # Written inside an immediate transaction, the id is above every id of a committed change and below every later one,
      # because nobody else writes meanwhile.
      def draw
        patiently do
          @connection.execute("begin immediate", "ReplicatesTo")
          drawn = select(<<~SQL, now: earlier(0)).first
            insert into replicates_to_outbox (source, model, primary_key, operation, created_at)
            values ('', '', '[]', 'update', %<now>s) returning id, #{identity.generation} as generation
          SQL
          delete([drawn["id"]])
          @connection.execute("commit", "ReplicatesTo")
          drawn
        end
      end

      def created_at_columns
        "cast(strftime('%%s', created_at) as integer) as seconds, cast(substr(created_at, 21, 6) as integer) * 1000 as nanoseconds"
      end

      def age_of(time)
        "(julianday('now') - julianday(#{time})) * 86400"
      end

      def monotonic
        Process.clock_gettime(Process::CLOCK_MONOTONIC)
      end
    end
  end
end
