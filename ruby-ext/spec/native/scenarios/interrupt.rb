# frozen_string_literal: true

# Waits for what never comes until it is interrupted. ARGV: how to wait.

require_relative "../native_helper"

extend NativeHelper

$stdout.sync = true
waiting = producer
publish(waiting, "topic", 1)
watcher = Thread.new do
  main = Thread.main
  Thread.pass until main.stop?
  puts "waiting"
end
begin
  waiting.public_send(ARGV.fetch(0), 60)
rescue Interrupt
  watcher.join
  puts JSON.generate(interrupted: ARGV.fetch(0))
end
