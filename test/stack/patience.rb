# frozen_string_literal: true

require_relative "failed"

module Stack
  # Waiting for what other processes do.
  module Patience
    # Long enough for a sweep, a breaker that opened twice, or a slow machine; what is well takes far less.
    SECONDS = 60
    POLL_SECONDS = 0.05

    module_function

    # Waits for a condition.
    # @param what [String] in words, for the failure
    # @return the block's value
    # @raise [Failed] when it did not become true
    def eventually(what, within: SECONDS, every: POLL_SECONDS)
      deadline = clock + within
      loop do
        value = yield
        return value if value
        raise Failed, "#{what}: not within #{within} s" if clock > deadline

        sleep every
      end
    end

    # @return [Float] seconds of a clock that only goes forward
    def clock
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end
  end
end
