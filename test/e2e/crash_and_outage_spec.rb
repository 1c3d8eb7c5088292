# frozen_string_literal: true

require_relative "support/tcp_proxy"
require_relative "support/whole_stack"

RSpec.describe "a change that was committed" do
  include_context "with everything and a broker of its own running"

  def restart_monolith(env: {})
    stack.monolith.stop
    stack.monolith.start(env: env)
  end

  def expect_everything_delivered
    stack.expect_both_equal
    eventually("nothing waits in the outbox") { stack.outbox_rows.zero? }
    eventually("nothing is left undelivered") { stack.relay.failures("--destination", "billing").empty? }
  end

  # @return [Integer] rows of the relay's log
  def logged(outcome)
    stack.store.rows("select count(*) from attempts where outcome = '#{outcome}'").first.first.to_i
  end

  # @return [Array<Array(String, String)>] key and version
  def delivered_twice
    stack.store.rows("select key, version from attempts where outcome = 'delivered' group by model, key, version having count(*) > 1")
  end

  describe "when the monolith is killed between COMMIT and acknowledgement" do
    before do
      ports = stack.kafka.detour
      @proxy = TcpProxy.new(port: ports.fetch("names"), upstream: ports.fetch("listens"))
      restart_monolith(env: {"REPLICATES_TO_KAFKA_BROKERS" => "127.0.0.1:#{ports.fetch('names')}"})
      @ids = Array.new(5) { |number| create_vehicle(plate: "KA-#{number}", price: "1.00") }
      expect_everything_delivered
    end

    after { @proxy.close }

    def change_all(price)
      @ids.first(4).each { |id| monolith.call(:patch, "/vehicles/#{id}", {price: price}) }
      monolith.call(:delete, "/vehicles/#{@ids.last}", status: 204)
    end

    it "arrives after the next sweep, though Kafka never had it" do
      @proxy.hold_all
      change_all("2.00")
      stack.monolith.kill
      expect(stack.outbox_rows).to eq(5)
      expect(stack.comparison.difference).to include("cars differ")

      @proxy.pass
      stack.monolith.start
      expect_everything_delivered
    end

    it "is requested once, though Kafka had it and the sweep publishes it again" do
      @proxy.hold_answers
      change_all("3.00")
      stack.expect_both_equal
      stack.monolith.kill
      expect(stack.outbox_rows).to eq(5)

      @proxy.pass
      stack.monolith.start
      eventually("the relay has read what the sweep published again") { logged("superseded") >= 5 }
      expect_everything_delivered
      expect(delivered_twice).to eq([])
    end
  end

  describe "while Kafka is down for a minute" do
    let(:outage_seconds) { 60 }
    # What a Rails process grows by for other reasons; the producer's queue may hold 32 MiB.
    let(:growth_max) { 64 * 1024 * 1024 }

    before { restart_monolith }

    # Writes for so many seconds.
    # @return [Array<Float>] seconds that each request took
    def write_for(seconds)
      ending = Stack::Patience.clock + seconds
      durations = []
      while Stack::Patience.clock < ending
        begun = Stack::Patience.clock
        create_vehicle(plate: "KA-#{durations.size}", price: "10.00")
        durations << (Stack::Patience.clock - begun)
      end
      durations
    end

    def quantile(durations, share)
      durations.sort[(durations.size * share).floor]
    end

    it "slows down no request, takes no memory to speak of, and arrives afterwards" do
      before = write_for(10)
      memory = stack.monolith.resident_bytes

      stack.kafka.down("kafka")
      during = write_for(outage_seconds)
      expect(stack.outbox_rows).to be >= during.size
      expect(quantile(during, 0.5)).to be < (quantile(before, 0.5) * 2) + 0.002
      expect(quantile(during, 0.99)).to be < (quantile(before, 0.99) * 3) + 0.05
      expect(stack.monolith.resident_bytes - memory).to be < growth_max

      stack.kafka.up("kafka")
      eventually("nothing waits in the outbox", within: 180) { stack.outbox_rows.zero? }
      stack.expect_both_equal(within: 180, every: 0.5)
      expect(stack.replica.count("cars")).to be >= before.size + during.size
    end
  end
end
