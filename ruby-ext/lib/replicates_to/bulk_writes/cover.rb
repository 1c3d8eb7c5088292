# frozen_string_literal: true

module ReplicatesTo
  module BulkWrites
    # How the rows that one statement changes are noted: under which operation, and which classes' rows they are; fan_outs are
    # the classes whose rows have others republished, and followed is what, by class. leaving says that rows leave a class, or
    # go, so that their keys are noted. returning says of an insert whether it returns columns to its caller; nil is a
    # statement that returns how many rows.
    Cover = Struct.new(:model, :operation, :classes, :fan_outs, :followed, :leaving, :returning, keyword_init: true) do
      # @return [Array<(Naming, String)>] every row is noted once for each of these, if it has a class there
      def notes
        classes.map { |naming| [naming, operation] } + fan_outs.map { |naming| [naming, FanOut::OPERATION] }
      end

      # @return [Key] by which the rows are found again
      def primary_key
        @primary_key ||= PrimaryKey.of(model)
      end

      # @param operation [String] of a note
      # @return [Boolean] whether it is to tell the keys of its row
      def keyed?(operation)
        leaving && operation != FanOut::OPERATION
      end

      # @return [Array<String>] columns that say which rows they were, of which class, and which keys a row had that left
      def columns
        @columns ||= [*primary_key.names, *notes.filter_map { |naming, _| naming.column }, *keys.flat_map(&:names)].uniq
      end

      private

      def keys
        leaving ? classes.flat_map(&:models).flat_map { |one| one.replicates_to_keys.values } : []
      end
    end
  end
end
