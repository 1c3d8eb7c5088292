# frozen_string_literal: true

require "replicates_to/publisher/change"
require "replicates_to/publisher/holders"
require "replicates_to/publisher/batch"
require "replicates_to/publisher/in_flight"
require "replicates_to/publisher/mailbox"
require "replicates_to/publisher/delivery"

module ReplicatesTo
  # The one way from the outbox to Kafka: a thread for each process, with connections of its own. Commits wake it with
  # the ids of their outbox rows; it sweeps what other processes left behind. Nothing here is needed for a change to
  # arrive: a row that this process cannot publish stays in the outbox for the next sweep.
  class Publisher
    # Rows read in one transaction.
    BATCH = 500
    # A thread that failed (database away, a bug) waits before it goes on, so that it cannot spin.
    PAUSE_AFTER_ERROR = 1
    # How long the thread that waits for reports sleeps at most; also how fast it notices that the process ends.
    REPORT_WAIT = 1

    # @return [Integer] the process this publisher belongs to; a forked child makes its own
    attr_reader :pid

    def initialize
      @pid = Process.pid
      @mailbox = Mailbox.new
      @start = Mutex.new
      @missed = @told = 0
    end

    # @return [void]
    def start
      return if @thread&.alive? || RailsPrivate.sandbox?

      @start.synchronize do
        next if @thread&.alive? || @mailbox.closing?

        @delivery ||= Delivery.new
        at_exit { close(ReplicatesTo.config["exit_deadline"]) if Process.pid == pid } unless @thread
        @thread = Thread.new { run }
        @thread.name = "replicates_to publisher"
      end
    end

    # Called after a commit. Wakes the thread first: a callback that raises must not delay anything.
    #
    # @param database [String] name of the model's connection
    # @param ids [Array<Integer>] outbox rows of one transaction
    # @param above [Integer, nil] it wrote others, whose ids are not known, but like these above this one
    # @yield Rails' own after_commit callbacks
    # @return [void]
    def committed(_connection, database, ids, above: nil)
      above ? look(database, above) : wake(database, ids)
      yield
    end

    # @param database [String] name of a connection
    # @return [Integer] no outbox row that is written from now on has this id or a lower one
    def horizon(database)
      @delivery ? @delivery.horizon(database) : 0
    end

    # Never waits, never raises into the application's commit.
    #
    # @param database [String] name of the model's connection
    # @param ids [Array<Integer>] outbox rows of one transaction
    # @return [void]
    def wake(database, ids)
      @missed += ids.size unless @mailbox.wake(database, ids)
      start
    end

    # Never waits, never raises into the application's commit.
    #
    # @param database [String] name of the model's connection
    # @param above [Integer] where to look for outbox rows that nobody has published
    # @return [void]
    def look(database, above)
      @missed += 1 unless @mailbox.look(database, above)
      start
    end

    # @return [Integer] rows taken, once they were handed to Kafka
    def sweep(after)
      start
      @thread&.alive? ? @mailbox.ask_for_sweep(after) : 0
    end

    # @param timeout [Numeric] seconds
    # @return [Boolean] whether every record since the last flush has an acknowledgement
    def flush(timeout)
      idle = @thread&.alive? ? @mailbox.wait_until_idle(timeout) { @delivery.idle? } : @mailbox.empty?
      told, @told = @told, unacknowledged
      idle && told == @told
    end

    # @param timeout [Numeric] seconds for everything together; what is left then is the next sweep's
    # @return [Boolean] whether nothing was left
    def close(timeout)
      @mailbox.close(monotonic + timeout)
      return true unless @thread&.alive?

      @thread.join(timeout) ? @delivery.idle? : false
    end

    # @return [Hash{Symbol => Integer}]
    def status
      @delivery ? @delivery.status : {queued_records: 0, queued_bytes: 0, acknowledged: 0, failed: 0}
    end

    private

    def run
      reports = Thread.new { forward_reports }
      reports.name = "replicates_to reports"
      turn until @mailbox.closing?
      @delivery.finish(@mailbox.take, @mailbox.deadline)
    rescue Exception => e # rubocop:disable Lint/RescueException -- the last thing this thread does is to say why it ends
      LogSubscriber.failure(e)
      raise if e.is_a?(NoMemoryError)
    ensure
      reports&.kill
      @mailbox.abandon_sweeps
      @mailbox.idle
    end

    def turn
      work = @mailbox.wait(@delivery.due_in)
      @delivery.settle_reports
      work.wakes.each { |database, ids| ids.each_slice(BATCH) { |slice| @delivery.publish(database, slice) } }
      work.looks.each { |database, above| look_once(database, above) }
      work.sweeps.each { |after, answer| answer << @delivery.sweep(after) }
      @delivery.sweep_if_due
      @delivery.fan_out
      @delivery.settle_reports
    rescue StandardError => e
      LogSubscriber.failure(e)
      @missed += 1
      work&.sweeps&.each { |_, answer| answer << e }
      @delivery.forget_connections
      @mailbox.pause(PAUSE_AFTER_ERROR)
    ensure
      @mailbox.idle
    end

    # One batch a turn, so that many rows of one transaction do not hold up the others.
    def look_once(database, above)
      case @delivery.look(database, above)
      when :more then @mailbox.look(database, above)
      when :full then @missed += 1
      end
    end

    # No Ruby runs in librdkafka's threads: this one waits for them with Ruby's lock released.
    def forward_reports
      loop { @mailbox.reports_arrived if @delivery.producer.wait_reports(REPORT_WAIT) }
    end

    # Rows that went to the sweep or were refused: they are in the outbox, but nobody has acknowledged them.
    def unacknowledged
      @missed + (@delivery ? @delivery.failed + @delivery.left_to_sweep : 0)
    end

    def monotonic
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end
  end
end
