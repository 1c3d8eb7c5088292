# frozen_string_literal: true

require "timeout"
require_relative "native_helper"

# Whatever waits gives up Ruby's lock and can be interrupted: what these wait for never comes.
RSpec.describe "Waiting for Kafka", :native do
  let(:waiting) { producer.tap { |producer| publish(producer, "topic", 1) } }

  waits = {
    "flush" => ->(producer) { producer.flush(60) },
    "close" => ->(producer) { producer.close(60) },
    "wait_reports" => ->(producer) { producer.wait_reports(60) },
    "partitions" => ->(producer) { producer.partitions("topic", 60) },
    "create_topic" => ->(producer) { producer.create_topic("topic", 1, -1, 60) }
  }

  waits.each do |name, wait|
    describe name do
      it "ends with the Timeout around it" do
        seconds = seconds_taken { expect { Timeout.timeout(0.2) { wait.call(waiting) } }.to raise_error(Timeout::Error) }
        expect(seconds).to be_between(0.2, 5)
      end

      it "ends when its thread is killed" do
        entered = Queue.new
        thread = Thread.new do
          entered << true
          wait.call(waiting)
        end
        entered.pop
        Thread.pass until thread.stop?
        thread.kill
        expect(thread.join(5)).to be(thread)
      end

      it "raises what is raised in its thread, as it is" do
        thread = Thread.new { wait.call(waiting) }
        thread.report_on_exception = false
        Thread.pass until thread.stop?
        thread.raise(IOError, "sent from outside")
        expect { thread.join(5) }.to raise_error(IOError, "sent from outside")
      end

      it "lets other threads run" do
        thread = Thread.new { wait.call(waiting) }
        Thread.pass until thread.stop?
        expect(seconds_taken { 100_000.times { Object.new } }).to be < 5
        expect(thread).to be_alive
        thread.kill.join
      end
    end
  end

  it "goes on taking records while another thread flushes" do
    thread = Thread.new { waiting.flush(60) }
    Thread.pass until thread.stop?
    expect(publish(waiting, "topic", 2)).to be_an(Integer)
    thread.kill.join
    expect(waiting.queued_records).to eq(2)
  end

  it "survives being closed by another thread" do
    thread = Thread.new { waiting.wait_reports(60) }
    Thread.pass until thread.stop?
    expect(waiting.close(0.1)).to be(false)
    # The report of the record that was given up ends the wait.
    expect(thread.join(10)&.value).to be(true)
  end

  %w[flush close wait_reports].each do |wait|
    it "ends #{wait} on Ctrl-C" do
      scenario = Scenario.start("interrupt", wait)
      scenario.wait_for("waiting")
      seconds = seconds_taken do
        scenario.signal(:INT)
        expect(scenario.result).to eq("interrupted" => wait)
      end
      expect(seconds).to be < 10
    end
  end
end
