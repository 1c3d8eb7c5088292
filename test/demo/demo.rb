# frozen_string_literal: true

# What `bin/demo` runs once everything is installed: starts a stack, plays the scenario on it, says where to go on.
require_relative "../../test-apps/shared/boot"
TestApps.boot(File.expand_path("../../test-apps/monolith", __dir__))

require_relative "checks"
require_relative "dev_stack"
require_relative "real_stack"
require_relative "scenario"

module Demo
  SIGNALS = %w[INT TERM HUP].freeze

  # @param arguments [Array<String>] checked by bin/demo
  # @return [Integer] exit status
  def self.run(arguments)
    $stdout.sync = true
    SIGNALS.each { |signal| trap(signal) { raise Interrupt } }
    stack = arguments.include?("--real") ? RealStack.new : DevStack.new
    play(stack, once: arguments.include?("--once"))
  rescue Failed => e
    warn "FAIL  start: #{e.message}"
    1
  rescue Interrupt
    130
  ensure
    # A second Ctrl-C must not leave processes behind.
    SIGNALS.each { |signal| trap(signal, "IGNORE") }
    stack&.stop
  end

  def self.play(stack, once:)
    stack.start
    checks = Checks.new
    Scenario.new(stack, checks).play
    puts checks.summary
    stay(stack) unless once
    checks.failed? ? 1 : 0
  end
  private_class_method :play

  def self.stay(stack)
    puts "", stack.what_to_try, "", "Ctrl-C ends."
    sleep
  rescue Interrupt
    puts
  end
  private_class_method :stay
end

exit Demo.run(ARGV)
