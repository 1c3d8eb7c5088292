# frozen_string_literal: true

require_relative "../../bin/support/free_port"

RSpec.describe FreePort do
  it "stays out of the ports that the system gives to outgoing connections" do
    first_of_system = Integer(File.read("/proc/sys/net/ipv4/ip_local_port_range").split.first)
    ports = Array.new(20) { FreePort.choose }

    expect(ports).to all(be_between(1024, first_of_system - 1))
    expect(ports.uniq.size).to be > 1
  end

  it "leaves out a port that is taken" do
    stub_const("FreePort::RANGE", FreePort.choose.then { |port| port..port })
    expect(FreePort.choose).to eq(FreePort::RANGE.first)

    TCPServer.open("127.0.0.1", FreePort::RANGE.first) do
      expect { FreePort.choose }.to raise_error(/no free loopback port/)
    end
  end
end
