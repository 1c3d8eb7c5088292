# frozen_string_literal: true

require "socket"

# Ports for servers that start later than their port is chosen, or start again.
module FreePort
  # Below the ports that the system gives to outgoing connections: one of those could be taken in between. Beside the
  # ranges of `bin/services` and of the relay's tests.
  RANGE = (10_000...12_000)

  # @return [Integer] a loopback port that nobody listens on
  def self.choose
    RANGE.to_a.shuffle.find { |port| free?(port) } || raise("no free loopback port in #{RANGE}")
  end

  def self.free?(port)
    TCPServer.open("127.0.0.1", port) { true }
  rescue Errno::EADDRINUSE
    false
  end
  private_class_method :free?
end
