# frozen_string_literal: true

module ReplicatesTo
  class Memory
    # The encoded records of a process, oldest first. Bounded like the producer's queue, by `queue.records_max` and
    # `queue.bytes_max`: in a suite that never looks at them, the oldest make room.
    class Kept
      Entry = Struct.new(:topic, :bytes)

      # @return [Integer] records that had to make room since the last {#clear}
      attr_reader :dropped
      # @return [Integer] records added since the process began
      attr_reader :added

      def initialize
        @mutex = Mutex.new
        @added = 0
        clear
      end

      # @param topic [String]
      # @param bytes [String] the encoded record
      # @return [void]
      def add(topic, bytes)
        @mutex.synchronize do
          @added += 1
          @entries << Entry.new(topic, bytes)
          @size += bytes.bytesize
          drop while full?
        end
      end

      # @param added [Integer] see {#added}
      # @return [Array<Entry>] what was added since then and is still there
      def since(added)
        @mutex.synchronize { @entries.last(@added - added) }
      end

      # @return [void]
      def clear
        @mutex.synchronize do
          @entries = []
          @size = @dropped = 0
        end
      end

      private

      def full?
        @entries.size > ReplicatesTo.config["queue.records_max"] || @size > ReplicatesTo.config["queue.bytes_max"]
      end

      def drop
        @size -= @entries.shift.bytes.bytesize
        @dropped += 1
      end
    end
  end
end
