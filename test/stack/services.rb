# frozen_string_literal: true

require "json"
require "pg"
require_relative "child"

module Stack
  # Real Kafka and PostgreSQL, run by bin/services: those of the repository, or of a folder of their own where a test
  # takes them down.
  class Services
    EXECUTABLE = File.join(ROOT, "bin/services")

    # @param folder [Folder] for logs
    # @param home [String, nil] folder of the services; the repository's by default
    def initialize(folder, home: nil)
      @folder = folder
      @env = home ? {"SERVICES_DIR" => home} : {}
      @started = []
    end

    # Starts what is not running.
    def up(*names)
      names.each do |name|
        @started << name unless status.dig(name, "running")
        run("up", name)
      end
    end

    # Stops one of them.
    def down(name)
      run("down", name)
    end

    # Leaves them as they were found.
    def restore
      @started.each { |name| down(name) }
    end

    # @return [String]
    def brokers
      status.dig("kafka", "brokers")
    end

    # @return [Hash{String => Integer}] ports of the broker's second listener: `listens` and `names`
    def detour
      status.dig("kafka", "detour")
    end

    # @param name [String] of a database
    # @return [String]
    def database_url(name)
      URI.parse(status.dig("postgres", "url")).tap { |url| url.path = "/#{name}" }.to_s
    end

    # Runs a statement on the server, outside any of the stack's databases.
    def administrate(sql)
      connection = PG.connect(status.dig("postgres", "url"))
      connection.exec(sql)
    ensure
      connection&.close
    end

    private

    def status
      JSON.parse(run("status", "--json"))
    end

    def run(*arguments)
      Child.run(@folder, "services", EXECUTABLE, *arguments, env: @env)
    end
  end
end
