# frozen_string_literal: true

module ReplicatesTo
  class Publisher
    # Where other threads leave work for the publisher's thread, and wait for it to be done. Bounded: what does not fit
    # is left to the sweep, which finds it in the outbox.
    class Mailbox
      # Outbox rows waiting for the thread.
      ROWS_MAX = 10_000
      # A larger transaction is left to the sweep, so that it cannot hold up the small ones behind it.
      TRANSACTION_ROWS_MAX = 1_000

      # wakes is {database => ids}: what several transactions noted is read together. looks is {database => id above which to
      # look for rows}. sweeps is [[after, queue to answer on], …].
      Work = Struct.new(:wakes, :looks, :sweeps)

      # @return [Float, nil] when the process must be gone, in monotonic seconds
      attr_reader :deadline

      def initialize
        @mutex = Mutex.new
        @changed = ConditionVariable.new
        @wakes = {}
        @looks = {}
        @rows = 0
        @sweeps = []
        @reports = false
        @working = false
      end

      # @return [Boolean] whether the rows were taken; those that were not are the sweep's
      def wake(database, ids)
        @mutex.synchronize do
          next false if @deadline || ids.size > TRANSACTION_ROWS_MAX || @rows + ids.size > ROWS_MAX

          (@wakes[database] ||= []).concat(ids)
          @rows += ids.size
          @changed.broadcast
          true
        end
      end

      # Many transactions are one look.
      #
      # @return [Boolean] whether somebody will look
      def look(database, above)
        @mutex.synchronize do
          next false if @deadline

          @looks[database] = [@looks[database], above].compact.min
          @changed.broadcast
          true
        end
      end

      # @return [Integer] rows that the sweep took
      def ask_for_sweep(after)
        answer = Queue.new
        @mutex.synchronize do
          @sweeps << [after, answer]
          @changed.broadcast
        end
        result = answer.pop
        result.is_a?(Exception) ? raise(result) : result
      end

      # @return [void]
      def reports_arrived
        @mutex.synchronize do
          @reports = true
          @changed.broadcast
          # Until the thread has taken them, waiting for reports would return at once, again and again.
          @changed.wait(@mutex) while @reports && !@deadline
        end
      end

      # Waits for something to do.
      #
      # @param seconds [Numeric] at most
      # @return [Work]
      def wait(seconds)
        @mutex.synchronize do
          @changed.wait(@mutex, seconds) unless waiting? || @sweeps.any? || @reports || @deadline || seconds <= 0
          @working = true
          @reports = false
          @changed.broadcast
          clear.tap { |work| work.sweeps, @sweeps = @sweeps, [] }
        end
      end

      # The thread has done what it took.
      #
      # @return [void]
      def idle
        @mutex.synchronize do
          @working = false
          @changed.broadcast
        end
      end

      # @yieldreturn [Boolean] whether nothing is on its way
      # @return [Boolean] whether that came true in time
      def wait_until_idle(seconds)
        deadline = monotonic + seconds
        @mutex.synchronize do
          until !@working && !waiting? && yield
            left = deadline - monotonic
            return false unless left.positive?

            @changed.wait(@mutex, left)
          end
        end
        true
      end

      # Waits even when there is work; ends early when the process ends.
      #
      # @return [void]
      def pause(seconds)
        until_time = monotonic + seconds
        @mutex.synchronize do
          while !@deadline && (left = until_time - monotonic).positive?
            @changed.wait(@mutex, left)
          end
        end
      end

      # @param deadline [Float] monotonic seconds
      # @return [void]
      def close(deadline)
        @mutex.synchronize do
          @deadline = deadline
          @changed.broadcast
        end
      end

      # Nobody will answer any more.
      #
      # @return [void]
      def abandon_sweeps
        @mutex.synchronize { @sweeps.each { |_, answer| answer << Error.new("the publisher of this process is closed") } }
      end

      # @return [Boolean] whether nothing waits to be taken
      def empty?
        @mutex.synchronize { !waiting? }
      end

      # @return [Boolean]
      def closing?
        @mutex.synchronize { !@deadline.nil? }
      end

      # @return [Work] what nobody has taken yet
      def take
        @mutex.synchronize { clear }
      end

      private

      def waiting?
        @wakes.any? || @looks.any?
      end

      def clear
        @rows = 0
        Work.new(@wakes, @looks, []).tap { @wakes, @looks = {}, {} }
      end

      def monotonic
        Process.clock_gettime(Process::CLOCK_MONOTONIC)
      end
    end
  end
end
