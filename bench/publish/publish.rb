# frozen_string_literal: true

# What a publish costs the thread that does it: encoding a row of 20 attributes straight from Ruby values and putting
# it into librdkafka's queue, beside stdlib's to_json and the same queue.
#
#     ruby bench/publish/publish.rb [--json]
#
# CPU time of the publishing thread alone, on real Kafka (`bin/services`), in rounds that take turns, so that a noisy
# machine disturbs both. Flushing and draining happen between the rounds. The baseline's text travels as the one field
# of a record, which costs it about what the envelope costs; it gets a Hash that is ready, which Rails would have to build.

$LOAD_PATH.unshift File.expand_path("../../ruby-ext/lib", __dir__)

require "json"
require "replicates_to/native"
require_relative "../../ruby-ext/spec/native/kafka"
require_relative "row"

ROUNDS = 30
RECORDS = 5_000
MICROSECONDS = 1_000_000

producer = ReplicatesTo::Native::Producer.new(Kafka.properties, RECORDS, 64 * 1024 * 1024, 1_000_000)
topic = Kafka.topic
schema = ReplicatesTo::Native::Schema.new("monolith", "Vehicle", 0x5f0c9a1e7b22d410, Row::FIELDS)
text = ReplicatesTo::Native::Schema.new("monolith", "Vehicle", 1, [["json", :json, nil, false, false]])
values = Row.values(schema.names)
attributes = schema.names.zip(values).to_h
keys = Array.new(RECORDS, &:to_s)

ways = {
  "publish" => lambda {
    keys.each_with_index do |key, token|
      producer.publish(topic, schema, key, 2, 918_273, 1_795_329_960, 123_456_000, nil, nil, values, token) or raise "queue full"
    end
  },
  "to_json and the same queue" => lambda {
    keys.each_with_index do |key, token|
      json = [attributes.to_json]
      producer.publish(topic, text, key, 2, 918_273, 1_795_329_960, 123_456_000, nil, nil, json, token) or raise "queue full"
    end
  }
}

def cpu
  Process.clock_gettime(Process::CLOCK_THREAD_CPUTIME_ID)
end

def empty(producer)
  producer.flush(60) or raise "Kafka did not take a round within 60 s"
  refused = producer.drain(RECORDS).filter_map(&:last).uniq
  raise "refused: #{refused.join(", ")}" if refused.any?
end

samples = ways.transform_values { [] }
objects = {}
(ROUNDS + 1).times do |round|
  ways.each do |name, way|
    GC.start
    allocated = GC.stat(:total_allocated_objects)
    start = cpu
    way.call
    taken = cpu - start
    objects[name] = (GC.stat(:total_allocated_objects) - allocated).fdiv(RECORDS).round(2)
    # The first round warms up.
    samples[name] << (taken / RECORDS * MICROSECONDS) unless round.zero?
    empty(producer)
  end
end
producer.close(5)

sorted = samples.transform_values(&:sort)
median = sorted.transform_values { |values_of| values_of[ROUNDS / 2].round(2) }
ours, baseline = ways.keys
result = {
  name: "publish", unit: "us_per_record", value: median[ours], min: sorted[ours].first.round(2), median: median[ours],
  p99: sorted[ours][(ROUNDS * 0.99).ceil - 1].round(2), samples: ROUNDS, records: ROUNDS * RECORDS, cpu_us_per_record: median[ours],
  records_per_second: (MICROSECONDS / median[ours]).round,
  settings: {attributes: Row::FIELDS.length, record_bytes: schema.encode("1", 2, 918_273, 0, 0, nil, nil, values).bytesize,
             objects_per_record: objects[ours], baseline_objects_per_record: objects[baseline]},
  baseline: {name: baseline, value: median[baseline], ratio: (median[ours] / median[baseline]).round(3)}
}
if ARGV.include?("--json")
  puts JSON.generate(result)
else
  puts "publish: #{result[:value]} us of CPU a record (min #{result[:min]}), #{objects[ours]} objects; #{baseline}: " \
       "#{median[baseline]} us, #{objects[baseline]} objects; ratio #{result[:baseline][:ratio]}"
end
