# frozen_string_literal: true

module ReplicatesTo
  module FanOut
    # The next few dependants of a fan-out: locked, so that their versions are right, and noted as if they had been
    # written. On PostgreSQL the fan-out's own row moves on in the same transaction, so that whoever continues it after a
    # crash begins behind them; elsewhere (SQLite, dependants in another database) it moves on afterwards, and they may be
    # noted twice.
    #
    # No lock is waited for. While a slice waited for one row it would hold the others, for which a transaction of the
    # application may wait in another order. A row whose lock is taken gets a fan-out of its own, which holds nothing else.
    class Slice
      SIZE = 1_000
      # How long other processes leave a fan-out to the one that did its last slice.
      LEASE = 30
      # How long a row is left alone whose lock was still taken.
      PAUSE = 2

      # Outbox rows that were made, the database they are in, and whether the fan-out has more to make.
      Noted = Struct.new(:database, :ids, :more)

      # @param context [Publisher::Context, Memory::Context] where the outboxes are
      # @param database [String] the fan-out's
      # @param id [Integer] its outbox row
      # @param others [Array<Integer>] those that its transaction left of the same owner, statement by statement
      def initialize(context, database, id, others = [])
        @context = context
        @database = database
        @id = id
        @others = others
      end

      # @return [Noted, nil] nil when there was nothing to do, or another process is doing it
      # @raise [MappingError] when an association cannot be followed
      def run
        @context.within(@database) do |outbox|
          outbox.locking do
            row = find(outbox)
            row && (row.keys.key?(ITSELF) ? note_itself(outbox, row) : note_dependants(outbox, row))
          end
        end
      end

      private

      # What has not begun yet is followed together: an owner that each of its children touches would otherwise have all of
      # them published as often as there are.
      def find(outbox)
        rows = outbox.find_locked(ReplicatesTo.config["source"], [@id, *@others])
        own = rows.find { |row| row.id == @id }
        return own unless own && begins?(own)

        Outbox::Row.coalesce(rows.select { |row| begins?(row) }).last.tap { |row| outbox.delete(row.merged.to_a) }
      end

      def begins?(row)
        row.keys.any? && row.keys.values.none? && !row.keys.key?(ITSELF)
      end

      def note_dependants(outbox, row)
        model = model_of(row)
        left = row.keys.presence || FanOut.keys(model.replicates_to_republications.values)
        return finish(outbox, row) if left.empty?

        name, dependants = first_usable(model, left.keys)
        keys = dependants.after(row.primary_key, left[name], SIZE)
        left = keys.size < SIZE ? left.except(name) : left.merge(name => PrimaryKey.dump(dependants.klass, keys.last))
        ids = note(dependants.klass, keys, row.origin)
        left.empty? ? finish(outbox, row) : outbox.patiently { outbox.move(row.id, left, LEASE) }
        Noted.new(dependants.klass.connection_specification_name, ids, left.any?)
      end

      def model_of(row)
        model = row.model.safe_constantize
        model.respond_to?(:replicates_to_republications) ? model : raise(MappingError, unknown(row))
      end

      # One association that cannot be followed does not hold up the others.
      def first_usable(model, names)
        error = nil
        names.each do |name|
          return [name, Dependants.new(model, name)]
        rescue MappingError => e
          error ||= e
        end
        raise error
      end

      def note_itself(outbox, row)
        klass = row.model.safe_constantize
        raise MappingError, unknown(row) unless klass.is_a?(Class) && klass < ActiveRecord::Base

        ids = Rows.new(outbox, klass).note_one(PrimaryKey.load(klass, row.primary_key), row.origin)
        return postpone(outbox, row) unless ids

        finish(outbox, row)
        Noted.new(@database, ids, false)
      end

      # @return [Array<Integer>] outbox rows
      def note(klass, keys, origin)
        @context.within(klass.connection_specification_name) do |outbox|
          outbox.locking { Rows.new(outbox, klass).note(keys, origin) }
        end
      end

      def unknown(row)
        "#{row.model} is not a replicated model of this application"
      end

      # @return [nil]
      def finish(outbox, row)
        outbox.patiently { outbox.delete([row.id]) }
        nil
      end

      # @return [nil]
      def postpone(outbox, row)
        outbox.patiently { outbox.postpone(row.id, PAUSE) }
        nil
      end
    end
  end
end
