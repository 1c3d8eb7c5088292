# frozen_string_literal: true

module ReplicatesTo
  module Outbox
    class Identity
      # A cluster is known by its system identifier, its history by the timeline, and inside it the sequence by its oid and
      # that of its database: a dump that was restored, even into the same cluster, is another sequence.
      class PostgreSQL < Identity
        SEQUENCE = "pg_get_serial_sequence('replicates_to_outbox', 'id')::regclass"
        LAST_ID = "coalesce(pg_sequence_last_value(#{SEQUENCE}), 0)"
        PARTS = {
          "system_identifier" => "(select system_identifier::text from pg_control_system())",
          # Not the timeline of pg_control_checkpoint(), which stays the old one until the first checkpoint after a
          # promotion has ended, for minutes. A standby, which writes no WAL, would refuse to answer.
          "timeline" => "(case when not pg_is_in_recovery() then " \
                        "('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::bigint end)",
          "sequence" => "(select oid || '/' || #{SEQUENCE}::oid from pg_database where datname = current_database())"
        }.freeze
        # What is known about the highest id handed out may be this much older, so that a row that everybody reads is
        # seldom written.
        MEMORY_SECONDS = 60
        # Writers wait behind whoever waits for a table lock. One of them that has not ended by then is waited for again
        # later.
        LOCK_SECONDS_MAX = 1
        STANDBY = "a standby answers, which may not know yet which versions are in use: the publisher needs the primary"

        # Notes how far the sequence is, because nobody else would find out that somebody set it back.
        #
        # @return [void]
        def remember
          execute(<<~SQL)
            update replicates_to_identity set highest_id = #{LAST_ID}, highest_id_at = clock_timestamp()
            where #{conditions.join(' and ')} and highest_id <> #{LAST_ID}
              and highest_id_at < clock_timestamp() - interval '#{MEMORY_SECONDS} seconds'
          SQL
        end

        private

        def columns
          PARTS.keys
        end

        # Where one of them is not for everybody (a provider may revoke or lack the functions), the others must do.
        def readable_parts
          PARTS.select { |_, sql| readable?(sql) }
        end

        def readable?(sql)
          @connection.transaction(requires_new: true) { select("select #{sql}") }
          true
        rescue ActiveRecord::StatementInvalid => e
          raise unless [PG::InsufficientPrivilege, PG::FeatureNotSupported, PG::ObjectNotInPrerequisiteState,
                        PG::UndefinedFunction].include?(e.cause.class)

          false
        end

        def conditions
          [*super, "not pg_is_in_recovery()", "highest_id <= #{LAST_ID}"]
        end

        def refuse_standby
          raise ConfigurationError, STANDBY if select("select pg_is_in_recovery() as standby").first["standby"]
        end

        def stored(lock: false)
          select(<<~SQL).first
            select #{WORDS.keys.join(', ')}, generation, highest_id from replicates_to_identity where id = 1 #{'for update' if lock}
          SQL
        end

        def look
          select("select #{parts.map { |column, sql| "#{sql} as #{column}" }.join(', ')}, #{LAST_ID} as last_id").first
        end

        def reasons(row, here)
          return super unless here["last_id"] < row["highest_id"]

          super.merge("highest_id" => "the sequence went back from #{row['highest_id']} to #{here['last_id']}")
        end

        # A promoted standby's sequence is never behind its rows. Any other one may be: an old row would then get a higher
        # version than a newer one of the same key. Once nobody holds an id that is not committed, and the sequence is
        # above all that are, what is read later is newer and what is drawn later is higher.
        def follow(reasons)
          return if (reasons.keys - ["timeline"]).empty?

          execute("set local lock_timeout = '#{LOCK_SECONDS_MAX}s'")
          execute("lock table replicates_to_outbox in share row exclusive mode")
          select("select setval(#{SEQUENCE}, max(id)) from replicates_to_outbox having max(id) > #{LAST_ID}")
        end

        def write(generation, here)
          kept = parts.keys.map { |column| "#{column} = %<#{column}>s" }
          execute(<<~SQL, generation: generation, **here.slice(*parts.keys).transform_keys(&:to_sym))
            update replicates_to_identity set #{[*kept, 'generation = %<generation>s'].join(', ')},
              highest_id = #{LAST_ID}, highest_id_at = clock_timestamp() where id = 1
          SQL
        end
      end
    end
  end
end
