# frozen_string_literal: true

module ReplicatesTo
  class Publisher
    # Reads outbox rows and the rows they name in one transaction, and decides what each becomes. The state decides: a
    # row that is there is published as it is now, a row that is gone is a delete. An outbox row that this session
    # cannot see is left alone: its transaction has not committed.
    class Batch
      # @param outbox [Outbox::Statements] on a connection of the publisher's own
      # @param ids [Array<Integer>]
      def initialize(outbox, ids)
        @outbox = outbox
        @ids = ids
      end

      # @return [Array<Change>]
      # @yieldparam id [Integer] of a row that is a fan-out, and nothing to publish
      # @raise [ActiveRecord::StatementInvalid] when a statement failed, which spoils the transaction for all rows
      def read
        @outbox.reading do
          fan_outs, rows = @outbox.find(ReplicatesTo.config["source"], @ids).partition(&:fan_out?)
          fan_outs.each { |row| yield row.id }
          rows.group_by(&:model).flat_map { |name, of_model| changes(name, of_model) }
        end
      end

      private

      def changes(name, rows)
        model = name.safe_constantize
        return rows.map { |row| unknown_model(row) } unless model.respond_to?(:replicates_to_declarations)

        records = load_records(model, rows)
        rows.map { |row| change(model, row, records[row.primary_key]) }
      end

      def unknown_model(row)
        Change.new(row, []).tap { |change| change.refuse(MappingError.new("#{row.model} is not a replicated model of this application")) }
      end

      # Unscoped, and by the base class: the row's class may have changed since.
      def load_records(model, rows)
        base = model.base_class
        keys = rows.map(&:primary_key).uniq.map { |json| PrimaryKey.load(model, json) }
        records = FreshRows.load(base.unscoped.where(base.primary_key => keys))
        records.index_by { |record| PrimaryKey.dump(base, record.id) }
      end

      # A row whose class changed leaves the destinations that its new class does not declare.
      def change(model, row, record)
        change = Change.new(row, [])
        current = record && record.class.respond_to?(:replicates_to_declarations) ? record.class.replicates_to_declarations : {}
        (current.keys | model.replicates_to_declarations.keys).select { |destination| row.for?(destination) }.each do |destination|
          declared = current.key?(destination)
          add(change, (declared ? record.class : model).replicates_to_mapping(destination), declared ? record : nil)
        rescue ActiveRecord::StatementInvalid
          raise
        rescue StandardError => e
          change.refuse(e, destination: destination)
        end
        change
      end

      def add(change, mapping, record)
        key = PrimaryKey.key(change.row.primary_key)
        if record.nil?
          change.publications << Publication.new(mapping, key, OPERATIONS["delete"], nil)
        elsif mapping.publishes?(record)
          change.publications << Publication.new(mapping, key, operation(change.row), mapping.values(record))
        elsif change.row.operation != "create"
          change.publications << Publication.new(mapping, key, OPERATIONS["delete"], nil)
        end
      end

      # A row that was deleted and is there again was created again; consumers treat both alike.
      def operation(row)
        OPERATIONS[row.operation == "delete" ? "update" : row.operation]
      end
    end
  end
end
