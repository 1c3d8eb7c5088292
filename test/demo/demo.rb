# frozen_string_literal: true

# What `bin/demo` runs once everything is installed: starts a stack, plays the scenario on it, says where to go on.
require_relative "../../test-apps/shared/boot"
TestApps.boot(File.expand_path("../../test-apps/monolith", __dir__))

require_relative "../stack/dev"
require_relative "../stack/real"
require_relative "advice"
require_relative "checks"
require_relative "scenario"

module Demo
  SIGNALS = %w[INT TERM HUP].freeze

  # @param arguments [Array<String>] checked by bin/demo
  # @return [Integer] exit status
  def self.run(arguments)
    $stdout.sync = true
    SIGNALS.each { |signal| trap(signal) { raise Interrupt } }
    folder = Stack::Folder.new("demo")
    stack = arguments.include?("--real") ? Stack::Real.new(folder) : Stack::Dev.new(folder)
    play(stack, once: arguments.include?("--once"))
  rescue Stack::Failed => e
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
    puts stack.description, ""
    stack.start
    checks = Checks.new
    Scenario.new(stack, checks).play
    puts checks.summary
    stay(stack) unless once
    checks.failed? ? 1 : 0
  end
  private_class_method :play

  def self.stay(stack)
    puts "", Advice.for(stack), "", "Ctrl-C ends."
    sleep
  rescue Interrupt
    puts
  end
  private_class_method :stay
end

exit Demo.run(ARGV)
