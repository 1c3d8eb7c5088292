# frozen_string_literal: true

require_relative "../native_helper"

# What the scenarios that fork have in common.
module Forking
  include NativeHelper

  # A producer that keeps records until it is flushed.
  def lingering(brokers)
    producer({"bootstrap.servers" => brokers, "log_level" => "0", "linger.ms" => "200000"})
  end

  # What is in a producer's queue and ring.
  def state(producer)
    [producer.queued_records, producer.queued_bytes, producer.drain(100)]
  end

  # Flushes and closes; what was reported, beside `more`.
  def finish(producer, **more)
    producer.flush(30)
    drained = producer.drain(1_000).sort
    more.merge(reports: drained, closed: producer.close(5))
  end

  # Runs the block in a child and returns what it answers, as JSON reads it.
  def in_child
    reader, writer = IO.pipe
    pid = fork do
      reader.close
      writer.write(JSON.generate(yield))
      writer.close
    end
    writer.close
    answer = reader.read
    Process.wait(pid)
    raise "child: #{$?.inspect}, answered #{answer}" unless $?.success?

    JSON.parse(answer)
  end
end
