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
      # @yieldparam others [Array<Integer>] of rows that it stands for
      # @raise [ActiveRecord::StatementInvalid] when a statement failed, which spoils the transaction for all rows
      # @raise [ConfigurationError] when the database cannot give versions
      def read(&block)
        read_once(&block) || (@outbox.identity.establish && read_once(&block)) || raise(ConfigurationError, UNSTEADY)
      end

      private

      UNSTEADY = "the database is another one every time it is asked"
      private_constant :UNSTEADY

      # @return [Array<Change>, nil] nil when it is not known whose ids these are
      def read_once
        @outbox.reading do
          found = @outbox.find(ReplicatesTo.config["source"], @ids)
          next if found.any? { |row| row.generation.nil? }

          fan_outs, rows = found.partition(&:fan_out?)
          Outbox::Row.coalesce(fan_outs).each { |row| yield row.id, row.merged.to_a }
          Outbox::Row.coalesce(rows).group_by(&:model).flat_map { |name, of_model| changes(name, of_model) }
        end
      end

      def changes(name, rows)
        model = name.safe_constantize
        return rows.map { |row| unknown_model(row) } unless model.respond_to?(:replicates_to_declarations)

        records = load_records(model, rows)
        holders = Holders.new(model, rows)
        rows.map { |row| change(model, row, records[row.primary_key], holders) }
      end

      def unknown_model(row)
        Change.new(row, []).tap { |change| change.refuse(MappingError.new("#{row.model} is not a replicated model of this application")) }
      end

      # Unscoped, and by the base class: the row's class may have changed since.
      def load_records(model, rows)
        base = model.base_class
        key = PrimaryKey.of(base)
        tuples = rows.map(&:primary_key).uniq.map { |json| key.values(JSON.parse(json)) }
        FreshRows.load(key.among(base.unscoped, tuples)).index_by { |record| JSON.generate(key.parts(key.values_of(record))) }
      end

      # A row whose class changed leaves the destinations that its new class does not declare.
      def change(model, row, record, holders)
        change = Change.new(row, [])
        current = record && record.class.respond_to?(:replicates_to_declarations) ? record.class.replicates_to_declarations : {}
        (current.keys | model.replicates_to_declarations.keys).select { |destination| row.for?(destination) }.each do |destination|
          declared = current.key?(destination)
          mapping = (declared ? record.class : model).replicates_to_mapping(destination)
          key = record ? mapping.key_of(record) : key_of_gone(mapping, row)
          change.publications.concat([state(row, mapping, key, record, declared), former(row, mapping, key, holders)].compact)
        rescue ActiveRecord::StatementInvalid
          raise
        rescue StandardError => e
          change.refuse(e, destination: destination)
        end
        change
      end

      # What the row is under the key that it has.
      def state(row, mapping, key, record, declared)
        if record && declared && mapping.publishes?(record)
          Publication.new(mapping, key, operation(row), mapping.values(record))
        elsif key && !(declared && row.operation == "create")
          Publication.new(mapping, key, OPERATIONS["delete"], nil)
        end
      end

      # What is under the key that the row had before.
      def former(row, mapping, key, holders)
        former = row.keys[mapping.destination.to_s]
        holders.publication(mapping, former) unless former.nil? || former == key || Key.fault_of(former)
      end

      # A row that is gone under a key that its primary key does not tell: whoever deleted it has noted which. A delete
      # without one is of a process that knew the row by its primary key.
      def key_of_gone(mapping, row)
        PrimaryKey.key(row.primary_key) unless row.keys[mapping.destination.to_s] || (mapping.own_key? && row.operation != "delete")
      end

      # A row that was deleted and is there again was created again; consumers treat both alike.
      def operation(row)
        OPERATIONS[row.operation == "delete" ? "update" : row.operation]
      end
    end
  end
end
