# frozen_string_literal: true

require_relative "base"

module Stack
  # Nothing but this machine's files: the broker inside `replicates-relay dev`, SQLite for all.
  class Dev < Base
    # @return [String] what it is made of
    def description
      "relay dev with its own broker, SQLite. The broker keeps its records in memory: they end with the relay."
    end

    private

    def build_relay
      @kafka_port = FreePort.choose
      admin_port = FreePort.choose
      Relay.new(@folder, ["dev", "--destination", "billing=#{receiver_url}", "--port", @kafka_port.to_s, "--secret", @secret,
                          "--admin", "127.0.0.1:#{admin_port}", "--dir", @folder.file("relay")], admin_port: admin_port)
    end

    def brokers
      "127.0.0.1:#{@kafka_port}"
    end

    def database_url(name)
      "sqlite3:#{@folder.file("#{name}.sqlite3")}"
    end
  end
end
