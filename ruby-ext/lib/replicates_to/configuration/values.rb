# frozen_string_literal: true

module ReplicatesTo
  class Configuration
    # How the text of a file or of an environment variable becomes a value. Each reader returns the value,
    # or raises ArgumentError with what it expected.
    module Values
      DURATION = /\A(\d+)(ms|s|m|h|d)\z/
      SECONDS = {"ms" => 0.001, "s" => 1, "m" => 60, "h" => 3600, "d" => 86_400}.freeze
      SIZE = /\A(\d+)(KiB|MiB|GiB)?\z/
      BYTES = {nil => 1, "KiB" => 1 << 10, "MiB" => 1 << 20, "GiB" => 1 << 30}.freeze

      # Set by the gem itself, under every name librdkafka knows them by.
      OWNED_PROPERTIES = %w[
        enable.idempotence acks request.required.acks partitioner bootstrap.servers metadata.broker.list
        queue.buffering.max.messages queue.buffering.max.kbytes
      ].freeze

      module_function

      # @return [Boolean]
      def boolean(value)
        return true if [true, "true"].include?(value)
        return false if [false, "false"].include?(value)

        raise ArgumentError, "must be true or false, not #{value.inspect}"
      end

      # @return [Numeric] seconds
      def duration(value)
        match = DURATION.match(value.to_s)
        raise ArgumentError, "must be a duration such as \"5s\", not #{value.inspect}" unless match

        match[1].to_i * SECONDS.fetch(match[2])
      end

      # @return [Integer] bytes
      def size(value)
        match = SIZE.match(value.to_s)
        raise ArgumentError, "must be a size such as \"32MiB\", not #{value.inspect}" unless match && match[1].to_i.positive?

        match[1].to_i * BYTES.fetch(match[2])
      end

      # @return [Integer] one of the range
      def integer(value, range)
        number = Integer(value.to_s, 10, exception: false)
        return number if number && range.cover?(number)

        raise ArgumentError, "must be #{range.end ? "#{range.begin}-#{range.end}" : "at least #{range.begin}"}, not #{value.inspect}"
      end

      # @return [String] matching the pattern
      def text(value, pattern)
        return value if value.is_a?(String) && pattern.match?(value)

        raise ArgumentError, "must match #{pattern.source.delete_prefix('\A').delete_suffix('\z')}, not #{value.inspect}"
      end

      # @return [String] one of the words
      def one_of(value, words)
        word = value.to_s
        return word if words.include?(word)

        raise ArgumentError, "must be #{words.join(' or ')}, not #{value.inspect}#{Nearest.hint(word, words)}"
      end

      # @return [String] comma-separated, as librdkafka takes them
      def brokers(value)
        list = Array(value).flat_map { |broker| broker.to_s.split(",") }.map(&:strip).reject(&:empty?)
        wrong = list.reject { |broker| /\A\S+:\d+\z/.match?(broker) }
        return list.join(",") if list.any? && wrong.empty?

        raise ArgumentError, "must list brokers as host:port, not #{value.inspect}"
      end

      # @return [Hash{String => String}]
      def properties(value)
        raise ArgumentError, "must be a table of librdkafka properties, not #{value.inspect}" unless value.is_a?(Hash)

        owned = value.keys.map(&:to_s) & OWNED_PROPERTIES
        raise ArgumentError, "must leave #{owned.join(', ')} to the gem" if owned.any?

        value.to_h { |name, property| [name.to_s, property.to_s] }
      end
    end
  end
end
