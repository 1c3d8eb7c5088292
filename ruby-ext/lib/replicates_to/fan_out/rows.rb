# frozen_string_literal: true

module ReplicatesTo
  module FanOut
    # Rows of one table that are noted although nobody wrote them, each under its own class.
    class Rows
      # @param outbox [Outbox::Statements] of their database
      # @param klass [Class] any class of the table
      def initialize(outbox, klass)
        @outbox = outbox
        @base = klass.base_class
        @key = PrimaryKey.of(@base)
        @namings = BulkWrites.classes(klass)
        @columns = [*@key.names, *@namings.filter_map(&:column)].uniq
      end

      # Notes those whose locks are free, and a fan-out of its own for each of the others, some of which may be gone.
      #
      # @param keys [Array] primary keys
      # @param origin [String, nil]
      # @return [Array<Integer>] outbox rows
      def note(keys, origin)
        locked = lock(keys)
        others = keys - locked.map { |row| PrimaryKey.in_row(@base, row) }
        insert(notes(locked, origin) + others.map { |key| itself(key, origin) })
      end

      # @param key [Object] primary key
      # @return [Array<Integer>, nil] outbox rows; nil while another session holds its lock
      def note_one(key, origin)
        locked = lock([key])
        insert(notes(locked, origin)) unless locked.empty? && relation([key]).exists?
      end

      private

      def lock(keys)
        rows = @outbox.lock_free_rows(relation(keys).order(*@key.names.map(&:to_sym))).pluck(*@columns)
        rows.map { |values| @columns.zip(@columns.one? ? [values] : values).to_h }
      end

      def relation(keys)
        @key.among(@base.unscoped, keys.map { |key| PrimaryKey.values(@base, key) })
      end

      def notes(rows, origin)
        rows.flat_map do |row|
          key = dump(PrimaryKey.in_row(@base, row))
          models = @namings.filter_map { |naming| naming.of(row[naming.column]) }
          models.map { |model| Note.new(model: model.name, primary_key: key, operation: "update", origin: origin) }
        end
      end

      def itself(key, origin)
        Note.new(model: @base.name, primary_key: dump(key), operation: OPERATION, keys: {ITSELF => nil}, origin: origin)
      end

      def dump(key)
        PrimaryKey.dump(@base, key)
      end

      def insert(notes)
        @outbox.verify
        @outbox.patiently { @outbox.insert(ReplicatesTo.config["source"], notes) }
      end
    end
  end
end
