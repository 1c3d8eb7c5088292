# frozen_string_literal: true

module ReplicatesTo
  class Publisher
    # The rows that now have a key which another row had before. A key that changed hands must end up with the row that
    # holds it: to delete it would be right only until somebody else took it.
    class Holders
      # @param model [Class] of the rows
      # @param rows [Array<Outbox::Row>]
      def initialize(model, rows)
        @held = model.replicates_to_keys.to_h { |destination, key| [destination, find(model, key, texts(rows, destination))] }
      end

      # @param mapping [Mapping] under which the key was known
      # @param text [String] the key
      # @return [Publication] what is under the key now
      def publication(mapping, text)
        record = @held.dig(mapping.destination, text)
        holding = record && mapping_of(record, mapping)
        return Publication.new(mapping, text, OPERATIONS["delete"], nil) unless holding&.publishes?(record)

        Publication.new(holding, text, OPERATIONS["update"], holding.values(record))
      end

      private

      def texts(rows, destination)
        rows.filter_map { |row| row.keys[destination.to_s] }.uniq.reject { |text| Key.fault_of(text) }
      end

      # Unscoped, and by the base class: whatever the class of the row that holds it.
      def find(model, key, texts)
        return {} if texts.empty?

        tuples = texts.map { |text| key.values(key.split(text)) }
        FreshRows.load(key.among(model.base_class.unscoped, tuples)).index_by { |record| key.text(key.values_of(record)) }
      end

      # Nil when its class is not published there, or under another name, or by other columns.
      def mapping_of(record, mapping)
        model = record.class
        return unless model.respond_to?(:replicates_to_declarations) && model.replicates_to_declarations.key?(mapping.destination)

        own = model.replicates_to_mapping(mapping.destination)
        own if own.public_name == mapping.public_name && own.key.names == mapping.key.names
      end
    end
  end
end
