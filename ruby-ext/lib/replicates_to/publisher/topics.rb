# frozen_string_literal: true

module ReplicatesTo
  class Publisher
    # In development a topic is made when its first record comes; elsewhere `check CREATE_TOPICS=1` makes them.
    class Topics
      SECONDS_MAX = 5

      def initialize(producer)
        @producer = producer
        @known = Set.new
      end

      # @return [void]
      # @raise [Error] when the broker refuses
      def ensure(topic)
        return if @known.include?(topic) || !development?

        Kafka.create_topic(@producer, topic, SECONDS_MAX) unless @producer.partitions(topic, SECONDS_MAX)
        @known << topic
      end

      private

      def development?
        defined?(Rails.env) && Rails.env.development?
      end
    end
  end
end
