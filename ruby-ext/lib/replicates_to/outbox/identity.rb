# frozen_string_literal: true

require "replicates_to/sql"

module ReplicatesTo
  module Outbox
    # Which database hands out the ids, and the generation above them. After a failover, an upgrade or a restore another
    # one may answer, whose sequence hands out ids once more: then the generation is raised, so that whatever is published
    # from now on is above all that ever was. All SQL on replicates_to_identity.
    #
    # By itself the class serves SQLite, where a file does not know that it is an older copy of itself: only the
    # configuration raises the generation there.
    class Identity < SQL
      MISSING = "table replicates_to_identity is missing: run rails g replicates_to:install, then rails db:migrate"
      GENERATION_MAX = 31
      # How people call the columns that tell one database from another.
      WORDS = {"system_identifier" => "system", "timeline" => "timeline", "sequence" => "sequence"}.freeze

      # What a look at the database found: the generation in use, the parts of the identity by name, why the generation must
      # be raised (texts), and the names of parts that this user may not read.
      Finding = Struct.new(:generation, :parts, :reasons, :unreadable)

      # @return [Concurrent::Map] of databases: the parts that this process can read there
      def self.readable
        @readable ||= Concurrent::Map.new
      end

      # The generation as SQL, null as soon as another database answers than the row describes. It belongs into the statement
      # that reads or deletes outbox rows: behind a pooler, or on a promoted standby, the next transaction of a connection
      # may run elsewhere, and an id and a generation from two databases make no version.
      #
      # @return [String]
      def generation
        "(select generation from replicates_to_identity where #{["generation >= #{lowest}", *conditions].join(' and ')})"
      end

      # Makes the row describe the database that answers, and raises the generation if that was another one so far. Whoever
      # comes second finds nothing left to do.
      #
      # @return [true] once that is committed: nobody may publish before
      # @raise [ConfigurationError] when there is no generation left, or the database cannot be written
      def establish
        raised = @connection.transaction { take_up }
        ActiveSupport::Notifications.instrument("generation.replicates_to", raised) if raised
        true
      end

      # Notes how far the ids are.
      #
      # @return [void]
      def remember; end

      # Changes nothing.
      #
      # @return [Finding]
      # @raise [ConfigurationError] when the table is missing, or a standby answers
      def examine
        readable = parts
        refuse_standby
        row = stored || {"generation" => 0, "highest_id" => 0}
        here = look
        Finding.new([row["generation"], lowest].max, here.slice(*readable.keys).transform_keys(WORDS), reasons(row, here).values,
                    (columns - readable.keys).map { |column| WORDS.fetch(column) })
      end

      private

      def take_up
        refuse_standby
        # A schema that was loaded instead of migrated has the table without its row.
        execute("insert into replicates_to_identity (id) values (1) on conflict do nothing")
        row = stored(lock: true)
        here = look
        reasons = reasons(row, here)
        generation = next_generation(row["generation"], reasons)
        follow(reasons)
        write(generation, here)
        return unless generation > row["generation"]

        {generation: generation, reason: reasons.any? ? reasons.values.join(", ") : "it is configured"}
      end

      def next_generation(current, reasons)
        highest = [current, lowest].max
        return highest if reasons.empty?
        return highest + 1 if highest < GENERATION_MAX

        raise ConfigurationError, "generation #{highest} is the last one, and #{reasons.values.join(', ')}: nothing is published " \
                                  "before somebody has read docs/guides/failover.md"
      end

      # @return [Hash{String => String}] why versions may go back; empty while the row describes the database
      def reasons(row, here)
        parts.keys.select { |column| row[column] && row[column] != here[column] }
             .to_h { |column| [column, "#{WORDS.fetch(column)} #{row[column]} became #{here[column]}"] }
      end

      # @return [Hash{String => String}] column => SQL of what it must equal
      def parts
        Identity.readable[RailsPrivate.database_of(@connection)] ||= begin
          raise ConfigurationError, MISSING unless @connection.table_exists?("replicates_to_identity")

          readable_parts
        end
      end

      def conditions
        ["id = 1", *parts.map { |column, here| "#{column} = #{here}" }]
      end

      def lowest
        ReplicatesTo.config["generation"]
      end

      def columns
        []
      end

      def readable_parts
        {}
      end

      def refuse_standby; end

      def stored(*)
        select("select generation from replicates_to_identity where id = 1").first
      end

      def look
        {}
      end

      def follow(_reasons); end

      def write(generation, _here)
        execute("update replicates_to_identity set generation = %<generation>s where id = 1", generation: generation)
      end
    end
  end
end

require "replicates_to/outbox/identity/configured"
require "replicates_to/outbox/identity/postgresql"
