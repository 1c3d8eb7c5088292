# frozen_string_literal: true

require "replicates_to/outbox/statements"

module ReplicatesTo
  module Outbox
    # The outbox in PostgreSQL.
    class PostgreSQL < Statements
      IDENTITY = Identity::PostgreSQL
      # A million rows in one VALUES list took 9 s and 1.7 GB of the backend; slices through unnest a third and 150 MB.
      SLICE = 5_000

      # @param notes [Array<Note>]
      # @return [Array<Integer>] their ids, drawn while the caller holds the locks of the rows they name
      def insert(source, notes)
        notes.each_slice(SLICE).flat_map do |slice|
          columns = COLUMNS.zip(slice.map(&:columns).transpose).to_h { |name, values| [name.to_sym, array(values)] }
          ids(<<~SQL, source: source, **columns)
            insert into replicates_to_outbox (source, #{COLUMNS.join(', ')}, created_at)
            select %<source>s, note.*, clock_timestamp()
            from unnest(#{COLUMNS.map { |name| "%<#{name}>s::text[]" }.join(', ')}) as note
            returning id
          SQL
        end
      end

      # The statement itself writes the outbox rows, however many rows it changes.
      #
      # @return [Covered]
      def cover(statement, name, cover)
        return super unless cover.returning.nil?

        key = cover.primary_key.json_sql { |column| own(cover, column) }
        notes = cover.notes.map do |naming, operation|
          "(#{name_sql(cover, naming)}, #{@connection.quote(operation)}, #{keys_sql(cover, naming, operation)})"
        end
        values = {statement: Arel.sql(statement + returning(cover)), source: ReplicatesTo.config["source"], key: Arel.sql(key),
                  origin: Origin.current, notes: Arel.sql(notes.join(", "))}
        # More ids than a publisher takes on need not travel: one more says that they are the sweep's.
        limit = "limit #{Publisher::Mailbox::TRANSACTION_ROWS_MAX + 1}" unless ReplicatesTo.config.memory?
        row = @connection.exec_insert_all(fill(<<~SQL, values), name).first
          with changed as (%<statement>s), noted as (
            insert into replicates_to_outbox (source, model, primary_key, operation, keys, origin, created_at)
            select %<source>s, note.model, %<key>s, note.operation, note.keys, %<origin>s, clock_timestamp()
            from changed cross join lateral (values %<notes>s) as note (model, operation, keys) where note.model is not null
            returning id)
          select (select count(*) from changed) as rows, to_json(array(select id from noted #{limit}))::text as ids
        SQL
        Covered.new(Integer(row["rows"]), nil, JSON.parse(row["ids"]))
      end

      # Takes the next rows that nobody has published, for this process alone: the lock is held for this statement, and
      # by moving next_at no other process enqueues them again while Kafka is slow.
      #
      # @param floor [Integer] ids below are known to be gone; skips dead rows that vacuum could not remove yet
      # @return [Array<Integer>, nil] ids, or nil while another process sweeps
      def take(source, after:, floor:, limit:, lease:)
        @connection.transaction do
          next nil unless select("select pg_try_advisory_xact_lock(%<key>s) as locked", key: lock_key(source)).first["locked"]

          ids(<<~SQL, source: source, floor: floor, before: earlier(after), limit: limit, lease: later(lease)).sort
            update replicates_to_outbox set next_at = %<lease>s where id in (
              select id from replicates_to_outbox
              where source = %<source>s and id >= %<floor>s and created_at <= %<before>s
                and (next_at is null or next_at <= clock_timestamp())
              order by id limit %<limit>s)
            returning id
          SQL
        end
      end

      # Takes the newest rows that nobody has published or taken, as {#take} does. Without its lock: processes that look at
      # the same time pass over each other's rows.
      #
      # @param above [Integer] ids that are not in question
      # @return [Array(Array<Integer>, Integer)] ids, and the last one drawn so far
      def take_new(source, above:, limit:, lease:)
        row = select(<<~SQL, source: source, above: above, limit: limit, lease: later(lease)).first
          with taken as (
            update replicates_to_outbox set next_at = %<lease>s where id = any(array(
              select id from replicates_to_outbox
              where source = %<source>s and id > %<above>s and next_at is null and error is null
              order by id desc limit %<limit>s for update skip locked))
            returning id)
          select (select to_json(array_agg(id order by id))::text from taken) as ids,
            coalesce(pg_sequence_last_value(pg_get_serial_sequence('replicates_to_outbox', 'id')::regclass), 0) as last
        SQL
        [JSON.parse(row["ids"] || "[]"), row["last"]]
      end

      # Rows that row security hides would look deleted. With it off, PostgreSQL refuses to answer instead of hiding.
      #
      # @yield inside a transaction of its own
      def reading
        # Inside a test's transaction the setting would outlast ours.
        former = select("select current_setting('row_security') as value").first["value"] if @connection.transaction_open?
        @connection.transaction do
          @connection.execute("set local row_security = off", "ReplicatesTo")
          value = yield
          @connection.execute("set local row_security = #{former}", "ReplicatesTo") if former
          value
        end
      end

      # @yield a statement that another transaction may hold up; PostgreSQL waits by itself
      def patiently
        yield
      end

      # @return [Boolean] whether a statement failed only because of another one's lock
      def busy?(error)
        error.is_a?(ActiveRecord::TransactionRollbackError) || error.is_a?(ActiveRecord::LockWaitTimeout)
      end

      # Holds other processes off a table until the transaction ends.
      #
      # @return [void]
      def lock(table)
        @connection.execute("lock table #{table} in share row exclusive mode", "ReplicatesTo")
      end

      # @param relation [ActiveRecord::Relation]
      # @return [ActiveRecord::Relation] which locks its rows against every write but not against being referred to
      def lock_rows(relation)
        relation.lock("for no key update")
      end

      # @yield statements that lock rows and write, all of them or none
      def locking(&block)
        reading(&block)
      end

      # @param relation [ActiveRecord::Relation]
      # @return [ActiveRecord::Relation] the same, without those of its rows that another session has locked
      def lock_free_rows(relation)
        relation.lock("for no key update skip locked")
      end

      # The lock that a change of their keys takes, and a DELETE: to ask for a stronger lock than one holds is how two
      # transactions come to wait for each other.
      #
      # @param relation [ActiveRecord::Relation]
      # @return [ActiveRecord::Relation] which locks its rows against every write and against being referred to
      def lock_keys(relation)
        relation.lock("for update")
      end

      # @return [Boolean]
      def exists?
        !select("select to_regclass('replicates_to_outbox')::text as name").first["name"].nil?
      end

      # @return [String] for `check`
      def describe
        "replicates_to_outbox, CACHE 1"
      end

      # @return [Object] the database's time in so many seconds, for {SQL}
      def later(seconds)
        Arel.sql("clock_timestamp() + interval '#{seconds.to_f} seconds'")
      end

      # @return [Object] the database's time so many seconds ago, for {SQL}
      def earlier(seconds)
        Arel.sql("clock_timestamp() - interval '#{seconds.to_f} seconds'")
      end

      private

      def ids_fault
        cache = select(<<~SQL).first&.fetch("seqcache")
          select seqcache from pg_sequence where seqrelid = pg_get_serial_sequence('replicates_to_outbox', 'id')::regclass
        SQL
        return "replicates_to_outbox.id has no sequence, so its ids cannot be versions" unless cache
        return if cache == 1

        "the sequence of replicates_to_outbox has CACHE #{cache}, which hands out ids in another order than rows are written: it must be 1"
      end

      def lock_free_ids(ids)
        ids("select id from replicates_to_outbox where id in (%<ids>s) for update skip locked", ids: ids)
      end

      def draw
        select("select nextval(pg_get_serial_sequence('replicates_to_outbox', 'id')) as id, #{identity.generation} as generation").first
      end

      def created_at_columns
        "floor(extract(epoch from created_at))::bigint as seconds, " \
          "(extract(microseconds from created_at)::bigint %% 1000000 * 1000) as nanoseconds"
      end

      def age_of(time)
        "extract(epoch from clock_timestamp() - #{time})::float8"
      end

      def name_sql(cover, naming)
        by_class(cover, naming) { |model| @connection.quote(model.name) }
      end

      # Of a row that left, by destination.
      def keys_sql(cover, naming, operation)
        return fan_out_sql(cover, naming) if operation == FanOut::OPERATION

        cover.keyed?(operation) ? by_class(cover, naming) { |model| former_keys_sql(cover, model) } : "null::text"
      end

      def fan_out_sql(cover, naming)
        by_class(cover, naming) { |model| @connection.quote(JSON.generate(FanOut.keys(cover.followed[model]))) }
      end

      def former_keys_sql(cover, model)
        pairs = model.replicates_to_keys.map do |destination, key|
          "#{@connection.quote(destination.to_s)}, #{key.sql { |column| own(cover, column) }}"
        end
        pairs.any? ? "json_build_object(#{pairs.join(', ')})::text" : "null::text"
      end

      # @yieldparam model [Class]
      # @yieldreturn [String] a text in SQL
      def by_class(cover, naming)
        default = naming.default ? yield(naming.default) : "null"
        return "#{default}::text" if naming.classes.empty?

        cases = naming.classes.map { |value, model| "when #{@connection.quote(value)} then #{yield(model)}" }
        "case #{own(cover, naming.column)} #{cases.join(' ')} else #{default} end"
      end

      def lock_key(source)
        Digest::SHA256.digest("replicates_to sweep #{source}").unpack1("q")
      end

      def array(values)
        PG::TextEncoder::Array.new.encode(values)
      end
    end
  end
end
