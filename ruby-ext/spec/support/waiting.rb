# frozen_string_literal: true

# Waits for a condition of another thread or process, instead of for a time.
module Waiting
  module_function

  def until_true(seconds = 20, what = "the condition")
    deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + seconds
    until (value = yield)
      raise "waited #{seconds} s for #{what}" if Process.clock_gettime(Process::CLOCK_MONOTONIC) > deadline

      Thread.pass
      IO.select(nil, nil, nil, 0.02)
    end
    value
  end
end
