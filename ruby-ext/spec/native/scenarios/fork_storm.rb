# frozen_string_literal: true

# Forks again and again while a client that was just started looks its brokers up, and has each child look a name up
# too. glibc does not give the lock for that back to a child, which would wait for it for ever.

require_relative "forking"
require "socket"
require "timeout"

extend Forking

CHILDREN = 600

hung = Array.new(CHILDREN) do |turn|
  starting = producer
  publish(starting, "topic", 1)
  # The look-up is some hundred microseconds away: every turn forks at another moment of it.
  moment = now + (turn * 0.000_001_5)
  Thread.pass until now > moment
  child = fork do
    Addrinfo.getaddrinfo("localhost", 80, nil, :STREAM, nil, Socket::AI_ADDRCONFIG)
    exit!(true)
  end
  begin
    Timeout.timeout(5) { Process.wait(child) }
    0
  rescue Timeout::Error
    Process.kill(:KILL, child)
    Process.wait(child)
    1
  ensure
    starting.close(0)
  end
end
puts JSON.generate(children: CHILDREN, hung: hung.sum)
