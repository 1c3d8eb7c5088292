# frozen_string_literal: true

require "tmpdir"
require_relative "native_helper"

# librdkafka's threads do not come along with a fork. A child forgets what it inherited and starts anew.
RSpec.describe "A process that forks", :native do
  let(:brokers) { Kafka.properties.fetch("bootstrap.servers") }
  let(:topic) { Kafka.topic }

  def acknowledged(*tokens)
    tokens.map { |token| [token, nil] }
  end

  it "leaves its queue to itself, and the child publishes its own" do
    expect(Scenario.result("fork", brokers, topic)).to eq(
      "child" => {"inherited" => [0, 0, []], "reports" => acknowledged(11, 12, 13), "closed" => true},
      "grandchild" => {"inherited" => [0, 0, []], "reports" => acknowledged(21), "closed" => true},
      "parent" => {"queued" => 3, "reports" => acknowledged(1, 2, 3), "closed" => true}
    )
  end

  it "may do so while a thread waits for Kafka" do
    expect(Scenario.result("fork_while_flushing", brokers, topic)).to eq("child" => acknowledged(11), "parent" => acknowledged(1, 2))
  end

  it "has children that end without closing, by exit and by exit!, and goes on" do
    expect(Scenario.result("fork_and_exit", brokers, topic)).to eq("children" => [0, 0, 0, 0], "parent" => acknowledged(1, 2))
  end

  it "is a preloading server: workers publish from all their threads, and so does the master" do
    result = Scenario.result("preload", brokers, topic)
    expect(result.fetch("workers")).to eq(Array.new(3) { {"reported" => 400, "failed" => 0, "closed" => true} })
    expect(result.fetch("master")).to eq(acknowledged(1, 2))
  end

  it "never takes a name look-up along in the middle" do
    expect(Scenario.result("fork_storm")).to include("hung" => 0)
  end

  it "becomes a daemon and publishes from there" do
    Dir.mktmpdir do |folder|
      answer = File.join(folder, "answer")
      File.mkfifo(answer)
      scenario = Scenario.start("daemon", brokers, topic, answer)
      told = Thread.new { File.read(answer) }
      expect(told.join(Scenario::DEADLINE)).to be(told), "the daemon has said nothing: #{scenario.output}"
      expect(JSON.parse(told.value)).to eq("inherited" => [0, 0, []], "reports" => acknowledged(2), "closed" => true)
      expect(scenario.status).to be_success
    end
  end
end
