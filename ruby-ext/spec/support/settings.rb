# frozen_string_literal: true

require "securerandom"

# The gem's configuration in tests: a topic prefix that nobody else uses, and sweeps only where a test asks for them.
module Settings
  class << self
    # Of the group that runs; nil: the default.
    attr_accessor :coverage
  end

  module_function

  def apply(**changes)
    ReplicatesTo.instance_variable_set(:@assignments, nil)
    ReplicatesTo.configure do |c|
      c.source = "monolith"
      c.coverage = Settings.coverage
      c.kafka.brokers = Services.brokers
      c.kafka.topic_prefix = prefix
      c.sweep.in_process = false
      c.kafka.properties = {"linger.ms" => "0"}
      changes.each { |key, value| assign(c, key.to_s.split("__"), value) }
    end
    Models.forget_mappings
  end

  # The same for a whole group of examples, because a broker that has to make topics for each has no time for anything
  # else; {Topic} leaves out the records of earlier examples.
  def prefix
    @prefix ||= renew_prefix
  end

  def renew_prefix
    @prefix = "gem#{SecureRandom.hex(6)}."
  end

  def assign(assignments, path, value)
    *sections, key = path
    sections.inject(assignments) { |struct, section| struct[section] }[key] = value
  end
end
