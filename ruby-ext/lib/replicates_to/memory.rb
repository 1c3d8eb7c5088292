# frozen_string_literal: true

require "replicates_to/memory/context"
require "replicates_to/memory/kept"
require "replicates_to/memory/producer"

module ReplicatesTo
  # `transport: memory`, for tests: stands in the publisher's place, and publishes inside after_commit instead of on a
  # thread, on the connection that committed. Rows are read, mapped and encoded as ever; the records stay in this process,
  # their outbox rows are deleted, and what cannot be published raises into the write.
  class Memory
    @kept = Kept.new

    class << self
      # @return [Kept] the records of this process
      attr_reader :kept
    end

    # @return [Integer] the process this publisher belongs to; a forked child makes its own
    attr_reader :pid

    def initialize
      @pid = Process.pid
      @acknowledged = @failed = 0
      @mutex = Mutex.new
    end

    # There is no thread to start.
    #
    # @return [void]
    def start; end

    # Publishes before the callbacks of the application, as Kafka might; what went wrong is raised after them, because an
    # exception among callbacks would end those of the other rows.
    #
    # @param connection [ActiveRecord::ConnectionAdapters::AbstractAdapter] that has committed
    # @param database [String] name of the model's connection
    # @param ids [Array<Integer>] outbox rows of one transaction
    # @param above [Integer, nil] it wrote others, whose ids are not known, but like these above this one
    # @yield Rails' own after_commit callbacks
    # @return [void]
    # @raise [StandardError] of the first row that could not be published
    def committed(connection, database, ids, above: nil)
      error = publish(connection, database, ids, above)
      yield
      raise error if error
    end

    # @return [Integer] no outbox row has this id or a lower one
    def horizon(_database)
      0
    end

    # @return [Boolean] nothing is ever on its way
    def flush(_timeout)
      true
    end

    # @return [Boolean] nothing is ever on its way
    def close(_timeout)
      true
    end

    # @return [Hash{Symbol => Integer}] rows published and rows refused; nothing ever waits
    def status
      {queued_records: 0, queued_bytes: 0, acknowledged: @acknowledged, failed: @failed}
    end

    private

    # @return [StandardError, nil]
    def publish(connection, database, ids, above)
      errors = []
      context = Context.new(connection, database)
      delivery = Publisher::Delivery.new(producer: Producer.new(Memory.kept), context: context) { |change| errors << change.error }
      above ? look(delivery, database, above) : ids.each_slice(Publisher::BATCH) { |slice| delivery.publish(database, slice) }
      delivery.fan_out while delivery.fan_out_due?
      delivery.settle_reports
      count(delivery)
      errors.first
    rescue StandardError => e
      e
    end

    def look(delivery, database, above)
      nil while delivery.look(database, above) == :more
    end

    def count(delivery)
      @mutex.synchronize do
        @acknowledged += delivery.acknowledged
        @failed += delivery.failed
      end
    end
  end
end
