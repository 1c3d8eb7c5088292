# frozen_string_literal: true

require "replicates_to/configuration/values"
require "replicates_to/errors"
require "replicates_to/nearest"

module ReplicatesTo
  # What config/replicates_to.yml, the environment and `ReplicatesTo.configure` say, checked as a whole: the first
  # reading finds every problem. Precedence: environment variable > configure block > file > default.
  class Configuration
    SOURCE = /\A[a-z][a-z0-9_-]{0,62}\z/

    # key => [default, reader]. The environment variable is REPLICATES_TO_ and the key, dots as underscores.
    SETTINGS = {
      "enabled" => [true, ->(value) { Values.boolean(value) }],
      "source" => [nil, ->(value) { Values.text(value, SOURCE) }],
      "transport" => ["kafka", ->(value) { Values.one_of(value, %w[kafka memory]) }],
      "coverage" => ["callbacks", ->(value) { Values.one_of(value, %w[callbacks triggers]) }],
      "generation" => [0, ->(value) { Values.integer(value, 0..31) }],
      "kafka.brokers" => ["localhost:9092", ->(value) { Values.brokers(value) }],
      "kafka.topic_prefix" => ["replicates_to.", ->(value) { Values.text(value, /\A[A-Za-z0-9._-]{0,100}\z/) }],
      "kafka.partitions" => [8, ->(value) { Values.integer(value, 1..10_000) }],
      "kafka.replication_factor" => [nil, ->(value) { Values.integer(value, 1..100) }],
      "kafka.properties" => [{}, ->(value) { Values.properties(value) }],
      "queue.records_max" => [100_000, ->(value) { Values.integer(value, 1..10_000_000) }],
      "queue.bytes_max" => ["32MiB", ->(value) { Values.size(value) }],
      "record_bytes_max" => [1_000_000, ->(value) { Values.integer(value, 1_000..) }],
      "sweep.in_process" => [true, ->(value) { Values.boolean(value) }],
      "sweep.after" => ["10s", ->(value) { Values.duration(value) }],
      "sweep.interval" => ["5s", ->(value) { Values.duration(value) }],
      "exit_deadline" => ["5s", ->(value) { Values.duration(value) }],
      "backfill.batch" => [1_000, ->(value) { Values.integer(value, 1..100_000) }],
      "backfill.fence_timeout" => ["10m", ->(value) { Values.duration(value) }]
    }.freeze

    # Without a default, yet optional: the broker decides.
    OPTIONAL = %w[kafka.replication_factor].freeze
    # A table cannot be written into one variable.
    WITHOUT_VARIABLE = %w[kafka.properties].freeze
    SECTIONS = SETTINGS.keys.filter_map { |key| key[/\A(\w+)\./, 1] }.uniq.freeze

    # What a configure block assigns to: `c.enabled = false`, `c.kafka.brokers = "kafka:9092"`.
    Assignments = Struct.new(*SETTINGS.keys.reject { |key| key.include?(".") }.map(&:to_sym), *SECTIONS.map(&:to_sym)) do
      def initialize
        super
        SECTIONS.each { |section| self[section] = Configuration.section(section).new }
      end

      # @return [Hash{String => Object}] what was assigned, by dotted key
      def assigned
        each_pair.with_object({}) do |(name, value), found|
          next found[name.to_s] = value unless SECTIONS.include?(name.to_s)

          value.each_pair { |key, setting| found["#{name}.#{key}"] = setting }
        end.compact
      end
    end

    # @param name [String] of a section
    # @return [Class] a Struct of its keys
    def self.section(name)
      @sections ||= {}
      @sections[name] ||= Struct.new(*SETTINGS.keys.filter_map { |key| key[/\A#{name}\.(\w+)\z/, 1]&.to_sym })
    end

    # @param file [Hash] the section of the file that belongs to this environment
    # @param assigned [Hash{String => Object}] of the configure block
    # @param env [#fetch] environment variables
    # @param default_source [String, nil] the application's name
    # @raise [ConfigurationError] listing every problem
    def initialize(file: {}, assigned: {}, env: ENV, default_source: nil)
      @problems = []
      written = flatten(file).merge(assigned)
      @values = SETTINGS.to_h { |key, (default, reader)| [key, value_of(key, env, written, default, reader, default_source)] }
      return if @problems.empty?

      raise ConfigurationError, "replicates_to configuration: #{@problems.join('; ')}"
    end

    # @param key [String] such as `"kafka.brokers"`
    # @return [Object] the checked value: seconds for durations, bytes for sizes
    def [](key)
      @values.fetch(key)
    end

    # @return [Boolean] whether records stay in this process (`transport: memory`)
    def memory?
      self["transport"] == "memory"
    end

    private

    def value_of(key, env, written, default, reader, default_source)
      variable = "REPLICATES_TO_#{key.tr('.', '_').upcase}"
      default = default_source if key == "source"
      given = env[variable] unless WITHOUT_VARIABLE.include?(key)
      place = given.nil? ? key : variable
      given = written.fetch(key, default) if given.nil?
      return if given.nil? && OPTIONAL.include?(key)

      reader.call(given)
    rescue ArgumentError => e
      @problems << "#{place} #{e.message}"
      nil
    end

    def flatten(file)
      unless file.is_a?(Hash)
        @problems << "the section must be a table, not #{file.inspect}"
        return {}
      end

      file.each_with_object({}) do |(name, value), found|
        name = name.to_s
        next note_section(name, value, found) if SECTIONS.include?(name)

        note(name, value, found)
      end
    end

    def note_section(name, value, found)
      return if value.nil?
      return @problems << "#{name} must be a table, not #{value.inspect}" unless value.is_a?(Hash)

      value.each { |key, setting| note("#{name}.#{key}", setting, found) }
    end

    def note(key, value, found)
      return found[key] = value if SETTINGS.key?(key)

      @problems << "unknown key #{key}#{Nearest.hint(key, SETTINGS.keys + SECTIONS)}"
    end
  end
end
