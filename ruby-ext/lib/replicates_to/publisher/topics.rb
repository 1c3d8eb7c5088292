# frozen_string_literal: true

module ReplicatesTo
  class Publisher
    # In development a topic is made when its first record comes; elsewhere `check CREATE_TOPICS=1` makes them.
    class Topics
      SECONDS_MAX = 2
      # A broker that does not answer is not asked again for this long: records wait in the queue meanwhile.
      PAUSE = 10

      def initialize(producer)
        @producer = producer
        @known = Set.new
        @next_try_at = monotonic
      end

      # A broker that cannot make it is no reason to refuse the record, whose report will say what is wrong.
      #
      # @return [void]
      def ensure(topic)
        return if @known.include?(topic) || !development? || monotonic < @next_try_at

        Kafka.create_topic(@producer, topic, SECONDS_MAX) unless @producer.partitions(topic, SECONDS_MAX)
        @known << topic
      rescue Error
        @next_try_at = monotonic + PAUSE
      end

      private

      def development?
        defined?(Rails.env) && Rails.env.development?
      end

      def monotonic
        Process.clock_gettime(Process::CLOCK_MONOTONIC)
      end
    end
  end
end
