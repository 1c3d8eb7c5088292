# frozen_string_literal: true

require "replicates_to/sql"
require "replicates_to/outbox/waiting"

module ReplicatesTo
  module Outbox
    # What both databases share: the statements that are plain SQL.
    class Statements < SQL
      include Waiting

      MISSING = "table replicates_to_outbox is missing: run rails g replicates_to:install, then rails db:migrate"

      # Columns that a note fills, in the order of {Note#columns}.
      COLUMNS = %w[model primary_key operation keys origin destinations].freeze
      EVERY_COLUMN = ["id", "source", *COLUMNS, "transaction_id", "created_at", "attempts", "error", "next_at"].freeze

      # What the names of columns begin with that a covered statement returns for the outbox alone.
      OWN = "replicates_to_"

      # Refuses an outbox whose ids could not be versions. Looked at once for each database and process.
      #
      # @raise [ConfigurationError]
      def verify
        database = RailsPrivate.database_of(@connection)
        return if Statements.verified.include?(database)

        fault = self.fault
        raise ConfigurationError, fault if fault

        Statements.verified << database
      end

      # @return [String, nil] why rows cannot be noted in it, or its ids not be versions
      def fault
        exists? ? columns_fault || ids_fault : MISSING
      end

      # @return [Set] databases whose outbox was found right
      def self.verified
        @verified ||= Concurrent::Set.new
      end

      # Runs a statement that changes rows, and notes those it says it changed.
      #
      # @param statement [String]
      # @param name [String] for Rails' log
      # @param cover [BulkWrites::Cover]
      # @return [Covered]
      def cover(statement, name, cover)
        # exec_insert_all because it takes SQL, returns rows and clears the query cache.
        result = @connection.exec_insert_all(statement + returning(cover), name)
        notes = result.to_a.flat_map { |row| notes_of(cover, row) }
        own = result.columns.reject { |column| column.start_with?(OWN) }
        Covered.new(result.length, without_own(result, own), insert(ReplicatesTo.config["source"], notes))
      end

      # @param ids [Array<Integer>]
      # @return [Array<Row>] those that this session can see, in the order of their ids
      def find(source, ids)
        select(<<~SQL, source: source, ids: ids).map { |values| row(values) }
          select id, #{identity.generation} as generation, #{COLUMNS.join(', ')}, transaction_id, #{created_at_columns}, attempts
          from replicates_to_outbox where source = %<source>s and id in (%<ids>s) order by id
        SQL
      end

      # @param ids [Array<Integer>] of fan-outs
      # @return [Array<Row>] which nobody else touches until this transaction ends, without those that are gone, or that another
      #   process is at
      def find_locked(source, ids)
        find(source, lock_free_ids(ids))
      end

      # A fan-out goes on behind the dependants that were noted.
      #
      # @param id [Integer]
      # @param keys [Hash{String => String, nil}] associations that are left, with their cursors
      # @param seconds [Numeric] for which other processes leave it alone
      # @return [void]
      def move(id, keys, seconds)
        execute(<<~SQL, id: id, keys: JSON.generate(keys), time: later(seconds))
          update replicates_to_outbox set keys = %<keys>s, next_at = %<time>s, attempts = 0, error = null where id = %<id>s
        SQL
      end

      # Nothing is wrong with a row, but its time has not come.
      #
      # @param seconds [Numeric]
      # @return [void]
      def postpone(id, seconds)
        execute("update replicates_to_outbox set next_at = %<time>s where id = %<id>s", id: id, time: later(seconds))
      end

      # Deletes what Kafka has acknowledged. After a failover another row may have the same id: it has another generation.
      #
      # @param ids [Array<Integer>] of rows that were read under this generation
      # @return [void]
      def settle(ids, generation)
        execute("delete from replicates_to_outbox where id in (%<ids>s) and #{identity.generation} = %<generation>s",
                ids: ids, generation: generation)
      end

      # @param ids [Array<Integer>] that this transaction has read
      # @return [void]
      def delete(ids)
        execute("delete from replicates_to_outbox where id in (%<ids>s)", ids: ids)
      end

      # @return [Identity]
      def identity
        (ReplicatesTo.config.memory? ? Identity::Configured : self.class::IDENTITY).new(@connection)
      end

      # @return [Integer] a version that no row has
      def draw_version
        drawn = draw
        drawn = patiently { identity.establish } && draw if drawn["generation"].nil?
        Outbox.version(*drawn.fetch_values("generation", "id"))
      end

      # Gives rows back that a sweep took on and could not enqueue.
      #
      # @param ids [Array<Integer>]
      # @return [void]
      def release(ids)
        execute("update replicates_to_outbox set next_at = null where id in (%<ids>s) and next_at is not null", ids: ids)
      end

      # A row that cannot be published says why, and steps behind the others for a while.
      #
      # @param ids [Array<Integer>] of a row, and of those that it stands for
      # @param error [String]
      # @param seconds [Numeric] until it is tried again
      # @return [void]
      def fail(ids, error, seconds)
        execute(<<~SQL, ids: ids, error: error, time: later(seconds))
          update replicates_to_outbox set attempts = attempts + 1, error = %<error>s, next_at = %<time>s where id in (%<ids>s)
        SQL
      end

      # @return [Backfill::Runs] remembered in the same database
      def runs
        Backfill::Runs.new(@connection)
      end

      private

      # An outbox that an older version's migration made would end in the database's error, in the middle of a write.
      def columns_fault
        lacking = EVERY_COLUMN - @connection.columns("replicates_to_outbox").map(&:name)
        return if lacking.empty?

        "table replicates_to_outbox has no #{lacking.to_sentence(locale: :en)}: " \
          "add what the migration of rails g replicates_to:install has now"
      end

      def returning(cover)
        list = cover.columns.map { |column| "#{@connection.quote_column_name(column)} as #{own(cover, column)}" }
        "#{cover.returning ? ',' : ' returning'} #{list.join(', ')}"
      end

      # By number: with a prefix, a long name would be longer than PostgreSQL keeps.
      def own(cover, column)
        "#{OWN}#{cover.columns.index(column)}"
      end

      def notes_of(cover, row)
        values = cover.columns.to_h do |column|
          [column, cover.model.type_for_attribute(column).deserialize(row[own(cover, column)])]
        end
        primary_key = JSON.generate(cover.primary_key.parts(values.values_at(*cover.primary_key.names)))
        cover.notes.filter_map do |naming, operation|
          model = naming.of(values[naming.column])
          next unless model

          keys = FormerRow.new(values).keys(model) if cover.keyed?(operation)
          keys = FanOut.keys(cover.followed[model]) if operation == FanOut::OPERATION
          Note.new(model: model.name, primary_key: primary_key, operation: operation, keys: keys, origin: Origin.current)
        end
      end

      # The caller sees what its own statement would have returned.
      def without_own(result, columns)
        return ActiveRecord::Result.new([], []) if columns.empty?

        ActiveRecord::Result.new(columns, result.rows.map { |row| row.first(columns.size) }, result.column_types.slice(*columns))
      end

      def row(values)
        Row.new(
          id: values["id"], generation: values["generation"], model: values["model"], primary_key: values["primary_key"],
          operation: values["operation"], keys: values["keys"] ? JSON.parse(values["keys"]) : {}, origin: values["origin"],
          destinations: values["destinations"] && JSON.parse(values["destinations"]), transaction_id: values["transaction_id"],
          created_at: [values["seconds"], values["nanoseconds"]], attempts: values["attempts"]
        )
      end
    end
  end
end
