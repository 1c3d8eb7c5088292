# frozen_string_literal: true

$LOAD_PATH.unshift File.expand_path("../../lib", __dir__)

require "bigdecimal"
require "date"
require "json"
require "securerandom"
require "replicates_to/native"
require_relative "decoded_value"
require_relative "kafka"
require_relative "scenario"

# Short cuts for the specs of the native extension.
module NativeHelper
  # Nobody listens there.
  NOWHERE = {"bootstrap.servers" => "127.0.0.1:1", "log_level" => "0"}.freeze
  ENVELOPE = {operation: 2, version: 918_273, seconds: 1_795_329_960, nanoseconds: 123_456_000, run_id: nil, origin: nil}.freeze

  # @param fields [Hash{Symbol=>Object}] kind by name
  def schema(**fields)
    ReplicatesTo::Native::Schema.new("monolith", "Vehicle", 1, fields.map { |name, kind| [name.to_s, kind, nil, false, false] })
  end

  # The record of one field.
  def record(kind, value, scale: nil, sensitive: false, key: "42", **envelope)
    native = ReplicatesTo::Native::Schema.new("monolith", "Vehicle", 1, [["field", kind, scale, sensitive, false]])
    native.encode(key, *ENVELOPE.merge(envelope).values, [value])
  end

  # What a value of this kind becomes on the wire: its kind there, and what is held.
  def wire(kind, value, scale: nil)
    DecodedValue.of_only_field(record(kind, value, scale:))
  end

  def producer(properties = NOWHERE, records_max: 1_000, bytes_max: 32 * 1024 * 1024, record_bytes_max: 1_000_000)
    ReplicatesTo::Native::Producer.new(properties, records_max, bytes_max, record_bytes_max)
  end

  def publish(producer, topic, token, key: token.to_s, values: [token], schema: self.schema(id: :integer))
    producer.publish(topic, schema, key, *ENVELOPE.values, values, token)
  end

  # Drains until `count` reports came.
  def reports(producer, count, seconds: 30)
    deadline = now + seconds
    drained = []
    while drained.length < count
      raise "#{drained.length} of #{count} reports after #{seconds} s" if now > deadline

      producer.wait_reports(deadline - now)
      drained.concat(producer.drain(count))
    end
    drained
  end

  def now
    Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end

  def seconds_taken
    start = now
    yield
    now - start
  end

  RSpec.configure { |config| config.include self, :native } if defined?(RSpec)
end
