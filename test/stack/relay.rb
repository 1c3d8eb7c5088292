# frozen_string_literal: true

require_relative "child"
require_relative "json_http"
require_relative "patience"

module Stack
  # The relay as a process, and its command line as a person would use it.
  class Relay
    # Where bin/relay leaves what it has built; taken from there, so that a command answers at once.
    BINARY = File.join(File.expand_path(ENV.fetch("CARGO_TARGET_DIR", "target"), ROOT), "debug/replicates-relay")

    # @param folder [Folder]
    def self.build(folder)
      puts "building the relay (minutes the first time)" unless File.exist?(BINARY)
      Child.run(folder, "build", File.join(ROOT, "bin/relay"), "version")
    end

    # @return [JsonHttp] admin API, health and metrics
    attr_reader :http

    # @param folder [Folder]
    # @param arguments [Array<String>] of `dev` or `serve`
    # @param admin_port [Integer]
    def initialize(folder, arguments, admin_port:, env: {})
      @folder = folder
      @process = Child.new(folder, "relay", BINARY, *arguments, env: env)
      @http = JsonHttp.new("http://127.0.0.1:#{admin_port}")
    end

    # Starts and waits until it is ready.
    def start
      @process.start
      Patience.eventually("the relay is ready; see #{@process.log}") do
        @process.expect_running
        @http.page("/readyz")
      end
    end

    def stop
      @process.stop
    end

    def kill
      @process.kill
    end

    # @return [Hash] as `destinations --json` says
    def destination(name)
      json_lines("destinations", name).first
    end

    # @return [Array<Hash>] undelivered deliveries
    def failures(*flags)
      json_lines("failures", *flags)
    end

    # @return [Array<Hash>] the last attempts
    def tail(*flags)
      json_lines("tail", *flags)
    end

    # @param id [String] of a delivery
    def retry(id)
      command("retry", id)
    end

    # @return [Hash{String => Integer}] attempts by outcome
    def attempts_by_outcome
      counters = @http.page("/metrics").to_s.scan(/^replicates_relay_attempts_total\{.*outcome="(\w+)".*\} (\d+)/)
      counters.each_with_object(Hash.new(0)) { |(outcome, count), sum| sum[outcome] += count.to_i }
    end

    private

    def json_lines(*arguments)
      command(*arguments, "--json").lines.map { |line| JSON.parse(line) }
    end

    def command(*arguments)
      Child.run(@folder, "relay-commands", BINARY, *arguments, "--url", @http.url)
    end
  end
end
