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
        @namings = BulkWrites.classes(klass)
        @columns = [@base.primary_key, *@namings.filter_map(&:column).uniq]
      end

      # Notes those whose locks are free, and a fan-out of its own for each of the others, some of which may be gone.
      #
      # @param keys [Array] primary keys
      # @param origin [String, nil]
      # @return [Array<Integer>] outbox rows
      def note(keys, origin)
        locked = lock(keys)
        others = keys - locked.map(&:first)
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
        @outbox.lock_free_rows(relation(keys).order(@base.primary_key)).pluck(*@columns).map { |values| Array(values) }
      end

      def relation(keys)
        @base.unscoped.where(@base.primary_key => keys)
      end

      def notes(rows, origin)
        rows.flat_map do |key, *types|
          row = @columns.drop(1).zip(types).to_h
          names = @namings.filter_map { |naming| naming.of(naming.column && row[naming.column]) }
          names.map { |name| Note.new(model: name, primary_key: dump(key), operation: "update", origin: origin) }
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
