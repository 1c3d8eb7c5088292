# frozen_string_literal: true

require "json"
require "open3"
require "securerandom"

# The real Kafka of `bin/services`, started if it is not running.
module Kafka
  SERVICES = File.expand_path("../../../bin/services", __dir__)

  # @return [Hash] properties of a producer that reaches it
  def self.properties
    @properties ||= {"bootstrap.servers" => brokers, "log_level" => "0"}.freeze
  end

  # @return [String] the name of a topic of the caller's own
  def self.topic(partitions: 3)
    name = "ext.#{SecureRandom.hex(8)}"
    producer = ReplicatesTo::Native::Producer.new(properties, 10, 1024, 1024)
    producer.create_topic(name, partitions, -1, 30)
    producer.close(5)
    name
  end

  def self.brokers
    run("up", "kafka")
    JSON.parse(run("status", "--json")).fetch("kafka").fetch("brokers")
  end
  private_class_method :brokers

  def self.run(*arguments)
    output, status = Open3.capture2(SERVICES, *arguments)
    raise "bin/services #{arguments.join(' ')} failed: #{output}" unless status.success?

    output
  end
  private_class_method :run
end
