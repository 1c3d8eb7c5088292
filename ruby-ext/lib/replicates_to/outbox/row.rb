# frozen_string_literal: true

module ReplicatesTo
  module Outbox
    # One change, as read: `keys` are those of a row that cannot tell them itself, by destination, or the associations that a
    # fan-out has left, with its cursors; `destinations` the only ones it is for, nil for all; `created_at` is [seconds,
    # nanoseconds] since 1970; `generation` is nil while the database is not known to be the one that drew the earlier versions.
    # `merged` are the ids of other rows that it stands for.
    Row = Struct.new(:id, :generation, :model, :primary_key, :operation, :keys, :origin, :destinations, :transaction_id, :created_at,
                     :attempts, :merged, keyword_init: true) do
      # What statements of one transaction did to one row, each for itself, is one change. Not what several transactions did:
      # between them others may have seen the row, under a key that it gave away meanwhile.
      #
      # @param rows [Array<Row>] in the order of their ids
      # @return [Array<Row>]
      def self.coalesce(rows)
        rows.group_by(&:identity).map { |_, same| same.reduce(:merge) }.sort_by(&:id)
      end

      # @return [Integer]
      def version
        Outbox.version(generation, id)
      end

      # @return [Array<Integer>] of all outbox rows that are done when this one is
      def ids
        [*merged, id]
      end

      # @return [Boolean] whether others are to be published, rather than this row
      def fan_out?
        operation == FanOut::OPERATION
      end

      # @param destination [Symbol]
      # @return [Boolean]
      def for?(destination)
        (destinations.nil? || destinations.include?(destination.to_s)) && !Origin.of?(origin, destination)
      end

      # @return [Array] rows with equal identities are one change
      def identity
        transaction_id ? [transaction_id, *note.identity] : [id]
      end

      # @param later [Row] of the same row, by a later statement of the transaction
      # @return [Row]
      def merge(later)
        both = note.merge(later.note)
        later.dup.tap do |row|
          row.operation, row.keys, row.origin, row.destinations = both.operation, both.keys || {}, both.origin, both.destinations
          row.merged = ids
          row.attempts = [attempts, later.attempts].max
        end
      end

      # @return [Note]
      def note
        Note.new(model: model, primary_key: primary_key, operation: operation, keys: keys.presence, origin: origin,
                 destinations: destinations)
      end
    end
  end
end
