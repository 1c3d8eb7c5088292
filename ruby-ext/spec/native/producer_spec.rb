# frozen_string_literal: true

require_relative "native_helper"

RSpec.describe ReplicatesTo::Native::Producer, :native do
  describe "with a real Kafka" do
    let(:topic) { Kafka.topic }
    let(:live) { producer(Kafka.properties) }

    after { live.close(5) }

    it "reports each record once, by its token, when Kafka has acknowledged it" do
      sizes = (1..50).map { |token| publish(live, topic, token) }
      expect(sizes).to all(be > 0)
      expect(live.queued_records).to eq(50)
      expect(live.queued_bytes).to be > sizes.sum
      expect(reports(live, 50).sort).to eq((1..50).map { |token| [token, nil] })
      expect(live.drain(10)).to eq([])
      expect([live.queued_records, live.queued_bytes]).to eq([0, 0])
    end

    it "returns tokens as large as a bigint" do
      publish(live, topic, 2**63 - 1, key: "k", values: [1])
      expect(reports(live, 1)).to eq([[2**63 - 1, nil]])
    end

    it "flushes without lingering and is empty then" do
      lingering = producer(Kafka.properties.merge("linger.ms" => "200000"))
      publish(lingering, topic, 1)
      expect(lingering.flush(30)).to be(true)
      expect(lingering.drain(10)).to eq([[1, nil]])
      expect(lingering.close(5)).to be(true)
    end

    it "hands out at most as many reports as asked for" do
      (1..5).each { |token| publish(live, topic, token) }
      live.flush(30)
      expect([live.drain(3).length, live.drain(3).length, live.drain(3).length]).to eq([3, 2, 0])
    end

    it "sends a record of the largest size" do
      native = schema(text: :string)
      overhead = native.encode("k", *NativeHelper::ENVELOPE.values, ["x" * 900_000]).bytesize - 900_000
      text = "x" * (1_000_000 - overhead)
      expect(publish(live, topic, 1, key: "k", values: [text], schema: native)).to eq(1_000_000)
      expect(reports(live, 1)).to eq([[1, nil]])
      expect { publish(live, topic, 2, key: "k", values: ["#{text}x"], schema: native) }
        .to raise_error(ReplicatesTo::EncodeError, "record is larger than 1000000 bytes")
      expect(live.queued_records).to eq(0)
    end

    it "takes records of several threads and loses none" do
      busy = producer(Kafka.properties, records_max: 10_000)
      native = schema(id: :integer, text: :string)
      threads = Array.new(4) do |thread|
        Thread.new do
          Array.new(1_000) { |number| publish(busy, topic, thread * 1_000 + number, values: [number, "x" * number], schema: native) }
        end
      end
      expect(threads.flat_map(&:value)).to all(be_an(Integer))
      expect(reports(busy, 4_000).sort).to eq(Array.new(4_000) { |token| [token, nil] })
      expect(busy.close(5)).to be(true)
    end

    it "reports a record that Kafka refuses" do
      impatient = producer(Kafka.properties.merge("topic.metadata.propagation.max.ms" => "500"))
      publish(impatient, "ext.no.such.topic", 1)
      expect(reports(impatient, 1)).to match([[1, /Unknown topic/]])
      impatient.close(5)
    end

    it "creates topics, leaves existing ones alone, and counts partitions" do
      name = "ext.#{SecureRandom.hex(8)}"
      expect(live.partitions(name, 10)).to be_nil
      expect(live.create_topic(name, 4, -1, 10)).to be(true)
      expect(live.create_topic(name, 7, -1, 10)).to be(true)
      expect(live.partitions(name, 10)).to eq(4)
    end

    it "says why a topic cannot be created" do
      expect { live.create_topic("ext bad name", 1, -1, 10) }.to raise_error(ReplicatesTo::Error, /\Atopic ext bad name: /)
      expect { live.create_topic("ext.#{SecureRandom.hex(8)}", 1, 9, 10) }.to raise_error(ReplicatesTo::Error, /replication factor/i)
    end

    it "closes with nothing left, once and again, and takes nothing afterwards" do
      publish(live, topic, 1)
      expect(live.close(30)).to be(true)
      expect(live.drain(10)).to eq([[1, nil]])
      expect(live.close(1)).to be(true)
      expect { publish(live, topic, 2) }.to raise_error(ReplicatesTo::Error, "closed")
      expect { live.partitions(topic, 1) }.to raise_error(ReplicatesTo::Error, "closed")
    end
  end

  describe "without a Kafka" do
    it "takes records up to its bound, then answers nil, at once" do
      bounded = producer(records_max: 100)
      answers = nil
      expect(seconds_taken { answers = (1..150).map { |token| publish(bounded, "topic", token) } }).to be < 1
      expect([answers.first(100), answers.last(50)]).to match([all(be_an(Integer)), all(be_nil)])
      expect(bounded.queued_records).to eq(100)
    end

    it "takes bytes up to its bound" do
      bounded = producer(bytes_max: 10_000)
      native = schema(text: :string)
      answers = Array.new(20) { |token| publish(bounded, "topic", token, values: ["x" * 1_000], schema: native) }
      expect(answers.compact.length).to eq(9)
      expect(bounded.queued_bytes).to be_between(9_000, 10_000)
    end

    it "has room again when the reports of a failed batch were drained, and not before" do
      bounded = producer(NativeHelper::NOWHERE.merge("message.timeout.ms" => "200"), records_max: 3)
      3.times { |token| publish(bounded, "topic", token) }
      expect(bounded.wait_reports(30)).to be(true)
      expect(publish(bounded, "topic", 3)).to be_nil
      drained = reports(bounded, 3)
      expect(drained.map(&:first).sort).to eq([0, 1, 2])
      expect(drained.map(&:last)).to all(eq("Local: Message timed out"))
      expect(publish(bounded, "topic", 3)).to be_an(Integer)
    end

    it "waits for reports as long as it was told, also when there was no publish yet" do
      expect(seconds_taken { expect(producer.wait_reports(0.2)).to be(false) }).to be_between(0.2, 2)
      waiting = producer
      publish(waiting, "topic", 1)
      expect(seconds_taken { expect(waiting.wait_reports(0.2)).to be(false) }).to be_between(0.2, 2)
    end

    it "flushes and closes in the time it was given, and reports what it gave up" do
      closing = producer
      publish(closing, "topic", 7)
      expect(seconds_taken { expect(closing.flush(0.2)).to be(false) }).to be_between(0.2, 2)
      expect(seconds_taken { expect(closing.close(0.2)).to be(false) }).to be_between(0.2, 3)
      expect(closing.drain(10)).to eq([[7, "Local: Purged in queue"]])
      expect([closing.queued_records, closing.queued_bytes]).to eq([0, 0])
    end

    it "names the brokers it could not reach" do
      expect(seconds_taken do
        expect { producer.partitions("topic", 0.5) }.to raise_error(ReplicatesTo::Error, /\AKafka at 127.0.0.1:1: .*Connection refused/)
      end).to be < 5
      expect { producer.create_topic("topic", 1, -1, 0.5) }.to raise_error(ReplicatesTo::Error, /\AKafka at 127.0.0.1:1: /)
    end

    it "keeps the lock while it publishes, so that a busy thread cannot hold each publish back" do
      publishing = producer(records_max: 2_000)
      native = schema(id: :integer)
      publish(publishing, "topic", 0, schema: native) # starts the client
      turns = 0
      busy = Thread.new { loop { turns += 1 } }
      Thread.pass while turns.zero?
      interrupted = Array.new(1_000) do |token|
        before = turns
        publish(publishing, "topic", token, schema: native)
        turns != before
      end
      busy.kill
      expect(interrupted.count(true)).to be < 100
    end

    it "allocates at most two objects for a record of twenty attributes" do
      kinds = %i[integer string timestamp bool float date] * 3 + %i[decimal decimal]
      native = schema(**kinds.each_with_index.to_h { |kind, index| [:"a#{index.to_s.rjust(2, "0")}", kind] })
      held = {integer: 7, string: "seven", timestamp: Time.at(7), bool: true, float: 7.5, date: Date.new(2026, 11, 22),
              decimal: BigDecimal("7.5")}
      values = kinds.map { |kind| held.fetch(kind) }
      quiet = producer
      allocated = Array.new(3) do
        before = GC.stat(:total_allocated_objects)
        quiet.publish("topic", native, "key", 2, 918_273, 1_795_329_960, 123_456_000, nil, nil, values, 1)
        GC.stat(:total_allocated_objects) - before
      end
      # The first publish starts the client. After that: one text for each decimal.
      expect(allocated.drop(1)).to eq([2, 2])
    end
  end

  describe "properties" do
    {{"acks" => "1"} => "kafka property acks is set by the gem",
     {"enable.idempotence" => "false"} => "kafka property enable.idempotence is set by the gem",
     {"partitioner" => "random"} => "kafka property partitioner is set by the gem",
     {"queue.buffering.max.messages" => "1"} => "kafka property queue.buffering.max.messages is set by the gem",
     {"bootstrap.server" => "localhost"} => "kafka property bootstrap.server is unknown to librdkafka",
     {"linger.ms" => "soon"} => /\Akafka property linger.ms: /,
     {"client.id" => "a\0b"} => "kafka property client.id holds a NUL"}.each do |properties, message|
      it "refuses #{properties}" do
        expect { producer(properties) }.to raise_error(ReplicatesTo::ConfigurationError, message)
      end
    end

    it "are checked together when the client starts" do
      inconsistent = producer({"security.protocol" => "ssl", "ssl.ca.location" => "/no/such/file", "log_level" => "0"})
      expect { publish(inconsistent, "topic", 1) }.to raise_error(ReplicatesTo::ConfigurationError, /ssl.ca.location/)
    end
  end

  it "hashes keys as Java clients do" do
    expect(ReplicatesTo::Native.murmur2("foobar")).to eq(-790_332_482 % 2**32)
  end

  it "names the version of librdkafka" do
    expect(ReplicatesTo::Native.librdkafka_version).to match(/\A\d+\.\d+\.\d+\z/)
  end
end
