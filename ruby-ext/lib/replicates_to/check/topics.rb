# frozen_string_literal: true

module ReplicatesTo
  class Check
    # Kafka, and the topic of each mapping.
    class Topics
      SECONDS_MAX = 10

      # @param findings [Findings]
      # @param mappings [Array<Mapping>]
      # @param create [Boolean] whether to make topics that are missing
      def initialize(findings, mappings, create:)
        @findings = findings
        @mappings = mappings
        @create = create
      end

      # @return [void]
      def run
        check_alike
        producer = Kafka.producer
        @mappings.map(&:topic).uniq.each { |topic| check_topic(producer, topic) }
      rescue Error => e
        @findings.fail("Kafka", e.message)
      ensure
        producer&.close(0)
      end

      private

      def check_topic(producer, topic)
        partitions = producer.partitions(topic, SECONDS_MAX)
        return @findings.ok("topic", "#{topic}, #{partitions} partitions") if partitions
        return @findings.fail("topic", "#{topic} does not exist (CREATE_TOPICS=1 makes it)") unless @create

        Kafka.create_topic(producer, topic, SECONDS_MAX)
        @findings.ok("topic", "#{topic}, made with #{ReplicatesTo.config['kafka.partitions']} partitions")
      end

      # Kafka's metrics read a dot as an underscore, so it refuses the second of two such names.
      def check_alike
        @mappings.map(&:topic).uniq.group_by { |topic| topic.tr(".", "_") }.each_value do |topics|
          @findings.fail("topic", "#{topics.join(' and ')} cannot exist side by side: they differ only in . and _") if topics.size > 1
        end
      end
    end
  end
end
