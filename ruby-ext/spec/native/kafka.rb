# frozen_string_literal: true

require "json"
require "open3"

# The real Kafka of `bin/services`, started if it is not running.
module Kafka
  SERVICES = File.expand_path("../../../bin/services", __dir__)

  # @return [Hash] properties of a producer that reaches it
  def self.properties
    @properties ||= {"bootstrap.servers" => brokers, "log_level" => "0"}.freeze
  end

  # A topic for whoever does not mind what else is on it. Always the same one: a small broker does not stand many.
  #
  # @return [String] its name
  def self.topic
    @topic ||= "ext.native".tap do |name|
      producer = ReplicatesTo::Native::Producer.new(properties, 10, 1024, 1024)
      producer.create_topic(name, 3, -1, 30)
      producer.close(5)
    end
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
