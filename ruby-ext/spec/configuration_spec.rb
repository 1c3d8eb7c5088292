# frozen_string_literal: true

require_relative "spec_helper"

RSpec.describe ReplicatesTo::Configuration do
  def configuration(file = {}, assigned: {}, env: {}, default_source: "monolith")
    described_class.new(file: file, assigned: assigned, env: env, default_source: default_source)
  end

  def problems(...)
    configuration(...)
    nil
  rescue ReplicatesTo::ConfigurationError => e
    e.message
  end

  it "has the documented defaults" do
    values = described_class::SETTINGS.keys.to_h { |key| [key, configuration[key]] }
    expect(values).to eq(
      "enabled" => true, "source" => "monolith", "transport" => "kafka", "coverage" => "callbacks", "generation" => 0,
      "kafka.brokers" => "localhost:9092", "kafka.topic_prefix" => "replicates_to.", "kafka.partitions" => 8,
      "kafka.replication_factor" => nil, "kafka.properties" => {},
      "queue.records_max" => 100_000, "queue.bytes_max" => 32 * 1024 * 1024, "record_bytes_max" => 1_000_000,
      "sweep.in_process" => true, "sweep.after" => 10, "sweep.interval" => 5, "exit_deadline" => 5,
      "backfill.batch" => 1_000, "backfill.fence_timeout" => 600
    )
  end

  it "takes the environment before the configure block, that before the file, and the file before the default" do
    file = {"generation" => 1, "kafka" => {"partitions" => 1}, "sweep" => {"after" => "1m"}}
    found = configuration(file, assigned: {"generation" => 2, "kafka.partitions" => 2}, env: {"REPLICATES_TO_GENERATION" => "3"})
    expect([found["generation"], found["kafka.partitions"], found["sweep.after"], found["sweep.interval"]]).to eq([3, 2, 60, 5])
  end

  it "joins a list of brokers" do
    expect(configuration({"kafka" => {"brokers" => ["a:1", "b:2"]}})["kafka.brokers"]).to eq("a:1,b:2")
  end

  it "reads false where it was assigned" do
    assignments = described_class::Assignments.new
    assignments.enabled = false
    assignments.sweep.in_process = false
    found = configuration(assigned: assignments.assigned)
    expect([found["enabled"], found["sweep.in_process"]]).to eq([false, false])
  end

  it "lists every problem at once, unknown keys with the nearest known one" do
    file = {"sauce" => "x", "generation" => 32, "kafka" => {"borkers" => "x", "brokers" => "nowhere", "properties" => {"acks" => 1}},
            "sweep" => {"after" => 10}, "queue" => 5}
    message = problems(file, env: {"REPLICATES_TO_RECORD_BYTES_MAX" => "lots"})
    expect(message).to include(
      "unknown key sauce (did you mean source?)", "generation must be 0-31, not 32",
      "unknown key kafka.borkers (did you mean kafka.brokers?)",
      'kafka.brokers must list brokers as host:port, not "nowhere"', "kafka.properties must leave acks to the gem",
      'sweep.after must be a duration such as "5s", not 10', "queue must be a table, not 5",
      'REPLICATES_TO_RECORD_BYTES_MAX must be at least 1000, not "lots"'
    )
  end

  it "does not know keys of what is not built" do
    expect(problems({"relay" => {"url" => "http://x"}})).to include("unknown key relay")
  end

  it "knows two coverages" do
    expect(configuration({"coverage" => "triggers"})["coverage"]).to eq("triggers")
    expect(problems({"coverage" => "trigers"})).to include('coverage must be callbacks or triggers, not "trigers" (did you mean triggers?)')
  end

  it "knows two transports" do
    expect(configuration(env: {"REPLICATES_TO_TRANSPORT" => "memory"})).to be_memory
    expect(configuration).not_to be_memory
    expect(problems({"transport" => "memroy"})).to include('transport must be kafka or memory, not "memroy" (did you mean memory?)')
  end

  it "needs a source where no application gives its name" do
    expect(problems(default_source: nil)).to include("source must match [a-z][a-z0-9_-]{0,62}, not nil")
  end

  {"500ms" => 0.5, "5s" => 5, "10m" => 600, "6h" => 21_600, "7d" => 604_800}.each do |text, seconds|
    it "reads the duration #{text}" do
      expect(configuration({"sweep" => {"after" => text}})["sweep.after"]).to eq(seconds)
    end
  end

  {"64KiB" => 65_536, "1MiB" => 1_048_576, 1000 => 1000}.each do |text, bytes|
    it "reads the size #{text}" do
      expect(configuration({"queue" => {"bytes_max" => text}})["queue.bytes_max"]).to eq(bytes)
    end
  end
end
