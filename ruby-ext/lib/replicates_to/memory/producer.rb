# frozen_string_literal: true

module ReplicatesTo
  class Memory
    # What {Native::Producer} is for Kafka: encodes a record, keeps it, and has its acknowledgement at once.
    class Producer
      # @param kept [Kept]
      def initialize(kept)
        @kept = kept
        @reports = []
        @bytes_max = ReplicatesTo.config["record_bytes_max"]
      end

      # @param envelope [Array] key, operation, version, seconds, nanoseconds, run id, origin, values: as {Native::Schema#encode}
      #   takes them
      # @return [Integer] bytes
      # @raise [EncodeError]
      def publish(topic, schema, *envelope, token)
        bytes = schema.encode(*envelope)
        raise EncodeError, "record is larger than #{@bytes_max} bytes" if bytes.bytesize > @bytes_max

        @kept.add(topic, bytes)
        @reports << [token, nil]
        bytes.bytesize
      end

      # @return [Array<(Integer, nil)>] token and no error of every record since the last time
      def drain(_max)
        @reports.tap { @reports = [] }
      end

      # @return [Integer]
      def queued_records
        0
      end

      # @return [Integer]
      def partitions(_topic, _seconds)
        1
      end
    end
  end
end
