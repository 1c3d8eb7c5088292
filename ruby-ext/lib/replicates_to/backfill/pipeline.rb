# frozen_string_literal: true

module ReplicatesTo
  class Backfill
    # Hands batches to Kafka and says which were acknowledged, in the order in which they were read. A few are on their
    # way at a time, so that reading does not wait for the network.
    class Pipeline
      BATCHES_MAX = 4
      REPORTS_MAX = 10_000
      WAIT = 0.5

      # remaining counts records without a report.
      Batch = Struct.new(:cursor, :rows, :failed, :remaining)

      # @param producer [Native::Producer]
      # @param run [Runs::Run]
      # @param mappings [Array<Mapping>]
      def initialize(producer, run, mappings)
        @producer = producer
        @run = run
        @destinations = mappings.map(&:destination)
        @topics = Publisher::Topics.new(producer)
        @batches = {}
        @token = 0
      end

      # @param records [Array<ActiveRecord::Base>]
      # @param cursor [String] of the last one
      # @yield while waiting, now and then
      # @return [void]
      # @raise [Error] when Kafka refused a record
      def add(records, cursor, &waiting)
        wait(&waiting) while @batches.count { |_, batch| batch.remaining.positive? } >= BATCHES_MAX
        token = (@token += 1)
        batch = @batches[token] = Batch.new(cursor, records.size, 0, 0)
        records.each { |record| batch.failed += 1 unless publish(record, batch, token, &waiting) }
        drain
      end

      # Waits until everything is acknowledged.
      #
      # @yield while waiting, now and then
      # @return [void]
      def finish(&waiting)
        wait(&waiting) while @batches.any? { |_, batch| batch.remaining.positive? }
      end

      # @return [Batch, nil] what was acknowledged since the last time, up to the first batch that was not
      def acknowledged
        tokens = @batches.take_while { |_, batch| batch.remaining.zero? }.map(&:first)
        batches = tokens.map { |token| @batches.delete(token) }
        return if batches.empty?

        Batch.new(batches.last.cursor, batches.sum(&:rows), batches.sum(&:failed), 0)
      end

      # Encodes without publishing.
      #
      # @return [Integer] rows that cannot be encoded
      def self.rehearse(records, mappings)
        records.count do |record|
          mappings.each do |mapping|
            mapping.schema.encode(mapping.key_of(record), Publisher::OPERATIONS["snapshot"], 1, 0, 0, nil, nil, mapping.values(record))
          end
          false
        rescue StandardError => e
          complain(record, nil, e)
          true
        end
      end

      # @return [void]
      def self.complain(record, destination, error)
        ActiveSupport::Notifications.instrument(
          "error.replicates_to", kind: Publisher::Change.kind_of(error), model: record.class.name,
                                 primary_key: PrimaryKey.dump(record.class, record.id), destination: destination, exception: error
        )
      end

      private

      # @return [Boolean] whether the row could be encoded for every destination
      def publish(record, batch, token, &waiting)
        declared = record.class.replicates_to_declarations.keys & @destinations
        declared.each do |destination|
          mapping = record.class.replicates_to_mapping(destination)
          next unless mapping.publishes?(record)

          enqueue(mapping, record, token, &waiting)
          batch.remaining += 1
        rescue ActiveRecord::StatementInvalid
          raise
        rescue StandardError => e
          raise if e.is_a?(RunConflict)

          Pipeline.complain(record, destination, e)
          return false
        end
        true
      end

      def enqueue(mapping, record, token, &waiting)
        @topics.ensure(mapping.topic)
        key = mapping.key_of(record)
        attributes = mapping.values(record)
        wait(&waiting) while half_full?
        wait(&waiting) until @producer.publish(mapping.topic, mapping.schema, key, Publisher::OPERATIONS["snapshot"], @run.fence,
                                               *now, @run.id.to_s, nil, attributes, token)
      end

      # Live changes of this process come first.
      def half_full?
        @producer.queued_records > ReplicatesTo.config["queue.records_max"] / 2 ||
          @producer.queued_bytes > ReplicatesTo.config["queue.bytes_max"] / 2
      end

      def now
        Process.clock_gettime(Process::CLOCK_REALTIME, :nanosecond).divmod(1_000_000_000)
      end

      def wait
        yield
        @producer.wait_reports(WAIT)
        drain
      end

      def drain
        until (reports = @producer.drain(REPORTS_MAX)).empty?
          reports.each do |token, error|
            raise Error, "Kafka did not take a record: #{error}; the same line continues the run" if error

            @batches.fetch(token).remaining -= 1
          end
        end
      end
    end
  end
end
