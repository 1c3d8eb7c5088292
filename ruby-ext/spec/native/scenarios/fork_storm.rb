# frozen_string_literal: true

# Forks again and again while librdkafka's threads look names up, and has each child look one up too: glibc's lock
# for that is not given back to a child, which would then wait for it for ever.

require_relative "forking"
require "socket"
require "timeout"

extend Forking

CHILDREN = 30

nowhere = (1..20).map { |port| "localhost:#{port}" }.join(",")
busy = producer({"bootstrap.servers" => nowhere, "log_level" => "0", "broker.address.ttl" => "0",
                 "reconnect.backoff.ms" => "1", "reconnect.backoff.max.ms" => "1"})
publish(busy, "topic", 1)

hung = Array.new(CHILDREN) do
  child = fork do
    Addrinfo.getaddrinfo("localhost", 80)
    exit!(true)
  end
  begin
    Timeout.timeout(10) { Process.wait(child) }
    0
  rescue Timeout::Error
    Process.kill(:KILL, child)
    Process.wait(child)
    1
  end
end
puts JSON.generate(children: CHILDREN, hung: hung.sum)
