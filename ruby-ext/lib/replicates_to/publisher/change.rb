# frozen_string_literal: true

module ReplicatesTo
  class Publisher
    # The extension's numbers of the operations.
    OPERATIONS = {"create" => 1, "update" => 2, "delete" => 3, "snapshot" => 4}.freeze

    # One record about to be encoded; attributes are nil for a delete.
    Publication = Struct.new(:mapping, :key, :operation, :attributes)

    # One outbox row with the records it becomes, and the error of a destination whose record could not be made.
    Change = Struct.new(:row, :publications, :error, :kind, :destination) do
      # @param error [StandardError]
      # @param kind [Symbol] mapping, encode, kafka or callback
      # @param destination [Symbol, nil] whose record it was, where that is known
      # @return [void]
      def refuse(error, kind: Change.kind_of(error), destination: nil)
        return if self.error

        self.error, self.kind, self.destination = error, kind, destination
      end

      # @return [Symbol] whose fault an error is, as `error.replicates_to` says it
      def self.kind_of(error)
        case error
        when MappingError then :mapping
        when EncodeError then :encode
        else :callback
        end
      end
    end
  end
end
