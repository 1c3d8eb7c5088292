# frozen_string_literal: true

require_relative "native_helper"

# A process may end at any time, with any queue: it ends at once, and what was queued is the sweep's.
RSpec.describe "A process that ends", :native do
  def seconds_to_end(scenario)
    scenario.wait_for("ending")
    seconds_taken { expect(scenario.status).to be_success, scenario.output }
  end

  %w[exit main_ends exit! collected].each do |way|
    it "does not hang with a full queue (#{way})" do
      expect(seconds_to_end(Scenario.start("exit", way, "127.0.0.1:1"))).to be < 5
    end

    it "does not hang with a queue on its way to Kafka (#{way})" do
      expect(seconds_to_end(Scenario.start("exit", way, Kafka.properties.fetch("bootstrap.servers"), Kafka.topic))).to be < 5
    end
  end

  it "keeps the deadline of a close at exit" do
    scenario = Scenario.start("exit", "at_exit", "127.0.0.1:1", "topic", 2)
    expect(seconds_to_end(scenario)).to be_between(1, 5)
    expect(scenario.output.lines.last).to eq("closed: false\n")
  end

  it "sends everything in a close at exit when Kafka is there" do
    scenario = Scenario.start("exit", "at_exit", Kafka.properties.fetch("bootstrap.servers"), Kafka.topic, 30)
    expect(scenario.status).to be_success, scenario.output
    expect(scenario.output.lines.last).to eq("closed: true\n")
  end

  it "ends on SIGTERM while it flushes" do
    scenario = Scenario.start("exit", "flush", "127.0.0.1:1")
    scenario.wait_for("ending")
    seconds = seconds_taken do
      scenario.signal(:TERM)
      expect(scenario.status.termsig).to eq(Signal.list.fetch("TERM")), scenario.output
    end
    expect(seconds).to be < 5
  end
end
