# frozen_string_literal: true

# Fills a queue and ends. ARGV: how to end, brokers, topic.

require_relative "../native_helper"

extend NativeHelper

$stdout.sync = true
way, brokers, topic = ARGV
full = producer({"bootstrap.servers" => brokers, "log_level" => "0"}, records_max: 5_000)
native = schema(text: :string)
token = 0
token += 1 while publish(full, topic || "topic", token, values: ["x" * 100], schema: native)
# Its threads are at work before the process ends.
full.wait_reports(0.1)

case way
when "at_exit" then at_exit { puts "closed: #{full.close(2)}" }
when "collected"
  native = full = nil
  GC.start
end
puts "ending"
case way
when "exit" then exit
when "exit!" then exit!(true)
when "flush" then full.flush(60)
end
