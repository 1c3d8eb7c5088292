# frozen_string_literal: true

require "replicates_to/check/findings"
require "replicates_to/check/associations"
require "replicates_to/check/coverage"
require "replicates_to/check/database"
require "replicates_to/check/generation"
require "replicates_to/check/topics"

module ReplicatesTo
  # `rake replicates_to:check`: everything that must be right before a change can arrive, and what is likely wrong.
  class Check
    # @param out [IO]
    # @param create_topics [Boolean] make the topics that are missing
    def initialize(out, create_topics: false, json: false)
      @findings = Findings.new(out, json: json)
      @create_topics = create_topics
    end

    # @param error [ActiveRecord::ActiveRecordError]
    # @return [String] what the database said, of which Rails 7.1 and later only say where to look
    def self.reason(error)
      (error.cause || error).message
    end

    # @return [Boolean] whether nothing is wrong; warnings do not count
    def run
      check_configuration
      mappings = check_mappings
      check_public_names(mappings)
      Associations.new(@findings).run
      Database.new(@findings).run
      Coverage.new(@findings).run
      Topics.new(@findings, mappings, create: @create_topics).run unless ReplicatesTo.config.memory?
      @findings.summarise
    end

    private

    def check_configuration
      config = ReplicatesTo.config
      transport = config.memory? ? "transport memory" : "Kafka at #{config['kafka.brokers']}"
      @findings.ok("config", "source #{config['source']}, #{transport}")
      @findings.warn("config", "transport is memory: records stay in their process, and nothing reaches Kafka") if config.memory?
      @findings.warn("config", "enabled is false: nothing is noted") unless config["enabled"]
    end

    # @return [Array<Mapping>] those that fit their tables
    def check_mappings
      models = ReplicatesTo.models
      @findings.warn("models", "no model declares replicates_to") if models.empty?
      models.flat_map do |model|
        model.replicates_to_declarations.keys.filter_map { |destination| check_mapping(model, destination) }
      end
    end

    def check_mapping(model, destination)
      subject = "#{model.name} -> #{destination}"
      mapping = model.replicates_to_mapping(destination)
      @findings.ok(subject, "#{mapping.fields.size} fields, mapping #{mapping.fingerprint_hex}")
      mapping
    rescue MappingError => e
      @findings.fail(subject, e.message.delete_prefix("#{model.name}: ").delete_prefix("replicates_to :#{destination} "))
      nil
    rescue ActiveRecord::ActiveRecordError => e
      @findings.fail(subject, Check.reason(e))
      nil
    end

    # Two tables under one public name would overwrite each other's rows at the consumer.
    def check_public_names(mappings)
      mappings.group_by { |mapping| [mapping.destination, mapping.public_name] }.each do |(destination, name), same|
        tables = same.group_by { |mapping| mapping.model.table_name }
        next if tables.size == 1

        models = same.map { |mapping| mapping.model.name }
        @findings.fail("#{name} -> #{destination}", "is the name of #{models.join(' and ')}: give one an as:")
      end
    end
  end
end
