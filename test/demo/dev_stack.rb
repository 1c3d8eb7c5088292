# frozen_string_literal: true

require_relative "stack"

module Demo
  # Nothing but this machine's files: the broker inside `replicates-relay dev`, SQLite for all.
  class DevStack < Stack
    private

    def banner
      "relay dev with its own broker, SQLite. The broker keeps its records in memory: they end with the relay."
    end

    def build_relay
      @kafka_port = Child.free_port
      admin_port = Child.free_port
      Relay.new(["dev", "--destination", "billing=#{receiver_url}", "--port", @kafka_port.to_s, "--secret", @secret,
                 "--admin", "127.0.0.1:#{admin_port}", "--dir", File.join(FOLDER, "relay")], admin_port: admin_port)
    end

    def brokers
      "127.0.0.1:#{@kafka_port}"
    end

    def database_url(name)
      "sqlite3:#{File.join(FOLDER, "#{name}.sqlite3")}"
    end
  end
end
