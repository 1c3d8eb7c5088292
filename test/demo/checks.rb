# frozen_string_literal: true

module Demo
  # A step did not come out as it must.
  class Failed < StandardError; end

  # Runs steps and prints a line for each: `ok` only when its block came to its end without a failed expectation. Steps
  # build on each other, so the first that fails is the last that is played.
  class Checks
    # Long enough for a sweep, a breaker that opened twice, or a slow machine; a step that is well takes far less.
    PATIENCE_SECONDS = 60
    POLL_SECONDS = 0.05

    def initialize
      @passed = 0
      @failed = 0
      @left_out = 0
    end

    # @param name [String] what is shown to work
    # @yieldreturn [String, nil] a detail for the line
    def step(name)
      return @left_out += 1 if failed?

      started = clock
      detail = yield
      @passed += 1
      puts format("ok    %s%s  (%.1f s)", name, detail.is_a?(String) ? ": #{detail}" : "", clock - started)
    rescue StandardError => e
      @failed += 1
      puts "FAIL  #{name}: #{e.message}"
      puts(e.backtrace.first(5).map { |line| "        #{line}" }) unless e.is_a?(Failed)
    end

    # @param what [String] in words, for the failure
    # @raise [Failed] unless the block's value is true
    def expect(what)
      yield || raise(Failed, "expected that #{what}")
    end

    # Waits for a condition.
    # @return the block's value
    # @raise [Failed] when it did not become true
    def eventually(what, within: PATIENCE_SECONDS, every: POLL_SECONDS)
      deadline = clock + within
      loop do
        value = yield
        return value if value
        raise Failed, "#{what}: not within #{within} s" if clock > deadline

        sleep every
      end
    end

    def failed?
      @failed.positive?
    end

    # @return [String]
    def summary
      "#{@passed} steps ok, #{@failed} failed#{", #{@left_out} not played" if failed?}"
    end

    private

    def clock
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end
  end
end
