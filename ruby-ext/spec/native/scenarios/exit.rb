# frozen_string_literal: true

# Fills a queue and ends. ARGV: how to end, brokers, topic, how long a close at exit may take.

require_relative "../native_helper"

extend NativeHelper

$stdout.sync = true
way, brokers, topic, seconds = ARGV

def filled(brokers, topic)
  full = producer({"bootstrap.servers" => brokers, "log_level" => "0"}, records_max: 5_000)
  native = schema(text: :string)
  token = 0
  token += 1 while publish(full, topic, token, values: ["x" * 100], schema: native)
  # Its threads are at work before the process ends.
  full.wait_reports(0.1)
  full
end

if way == "collected"
  filled(brokers, topic || "topic")
  GC.start
  puts "ending"
  exit
end

full = filled(brokers, topic || "topic")
at_exit { puts "closed: #{full.close(Float(seconds))}" } if way == "at_exit"
puts "ending"
case way
when "exit" then exit
when "exit!" then exit!(true)
when "flush" then full.flush(60)
end
