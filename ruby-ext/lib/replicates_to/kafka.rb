# frozen_string_literal: true

module ReplicatesTo
  # The producer client, as the configuration describes it.
  module Kafka
    module_function

    # @return [Native::Producer] lazy: nothing connects before the first record
    # @raise [ConfigurationError] when librdkafka refuses a property
    def producer
      config = ReplicatesTo.config
      Native::Producer.new(
        {"bootstrap.servers" => config["kafka.brokers"]}.merge(config["kafka.properties"]),
        config["queue.records_max"], config["queue.bytes_max"], config["record_bytes_max"]
      )
    end

    # @return [void]
    def create_topic(producer, topic, seconds)
      config = ReplicatesTo.config
      producer.create_topic(topic, config["kafka.partitions"], config["kafka.replication_factor"] || -1, seconds)
    end
  end
end
