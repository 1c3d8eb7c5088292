# frozen_string_literal: true

require "tmpdir"
require_relative "spec_helper"

# A broker of its own, which it takes down in the middle.
RSpec.describe "an outage of Kafka" do
  include_context "with a database on", :postgresql
  include_context "with Kafka"

  before(:all) do
    @directory = Dir.mktmpdir("replicates_to_kafka")
    services("up", "kafka")
    output, = Open3.capture2({"SERVICES_DIR" => @directory}, executable, "status", "--json")
    @brokers = JSON.parse(output).fetch("kafka").fetch("brokers")
  end

  after(:all) do
    services("down", "kafka")
    FileUtils.rm_rf(@directory)
  end

  def executable
    File.join(Services::ROOT, "bin/services")
  end

  def services(*arguments)
    output, status = Open3.capture2e({"SERVICES_DIR" => @directory}, executable, *arguments)
    raise output unless status.success?
  end

  before do
    allow(Services).to receive(:brokers).and_return(@brokers)
    Settings.apply(queue__records_max: 200, sweep__in_process: true, sweep__after: "1s", sweep__interval: "500ms",
                   kafka__properties: {"log_level" => "0", "linger.ms" => "0", "reconnect.backoff.max.ms" => "500"})
    Models.topics.each { |name| Topic.new(name).create }
  end

  # Seconds that each of so many writes took.
  def write(count)
    Array.new(count) do |n|
      begun = Process.clock_gettime(Process::CLOCK_MONOTONIC)
      Vehicle.create!(plate: "KA-#{n}")
      Process.clock_gettime(Process::CLOCK_MONOTONIC) - begun
    end
  end

  def median(values)
    values.sort[values.size / 2]
  end

  it "slows no write down, fills the queue to its bound only, and loses nothing" do
    before = write(300)
    expect(ReplicatesTo.flush(timeout: 20)).to be(true)

    services("down", "kafka")
    during = write(1_000)
    Waiting.until_true { ReplicatesTo.status[:queued_records] >= 100 }
    expect(ReplicatesTo.status[:queued_records]).to be <= 200
    expect(median(during)).to be < (median(before) * 3) + 0.002
    expect(noted.size).to eq(1_000)

    services("up", "kafka")
    Waiting.until_true(120) { noted.empty? }
    expect(topic(Vehicle, :billing).records.map(&:key).uniq.size).to eq(1_300)
  end
end
