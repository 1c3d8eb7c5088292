# frozen_string_literal: true

require "socket"

# A cable between a client and a server, on a loopback port: it can hold what the client says, or what the server
# answers, and be cut. Faults are injected here, so that the product needs no code for them.
class TcpProxy
  CHUNK_BYTES = 64 * 1024
  POLL_SECONDS = 0.01

  # @param port [Integer] where clients connect
  # @param upstream [Integer] where the server listens
  def initialize(port:, upstream:)
    @upstream = upstream
    @held = []
    @connections = Queue.new
    @server = TCPServer.new("127.0.0.1", port)
    @acceptor = Thread.new { accept }
  end

  # From now on the server's answers wait here: work done, acknowledgement missing.
  def hold_answers
    @held = %i[answers]
  end

  # From now on nothing passes.
  def hold_all
    @held = %i[questions answers]
  end

  # From now on everything passes, what was held as well.
  def pass
    @held = []
  end

  # Ends all connections, and takes no more.
  def close
    pass
    @server.close
    @acceptor.join
    close_connection(*@connections.pop) until @connections.empty?
  end

  private

  def accept
    loop { connect(@server.accept) }
  rescue IOError, Errno::EBADF
    # The proxy was closed.
  end

  def connect(client)
    server = TCPSocket.new("127.0.0.1", @upstream)
    @connections << [client, server]
    Thread.new { copy(client, server, :questions) }
    Thread.new { copy(server, client, :answers) }
  rescue SystemCallError
    client.close
  end

  # Whichever side ends first ends both.
  def copy(from, to, direction)
    loop do
      chunk = from.readpartial(CHUNK_BYTES)
      sleep POLL_SECONDS while @held.include?(direction)
      to.write(chunk)
    end
  rescue IOError, SystemCallError
    close_connection(from, to)
  end

  def close_connection(*sockets)
    sockets.each(&:close)
  end
end
