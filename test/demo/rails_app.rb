# frozen_string_literal: true

require_relative "child"
require_relative "json_http"

module Demo
  # One of the Rails apps under test-apps, served by Puma.
  class RailsApp
    # @return [JsonHttp]
    attr_reader :http
    # @return [String]
    attr_reader :database_url

    # @param name [String] folder below test-apps
    def initialize(name, database_url:, env: {})
      port = Child.free_port
      @name = name
      @database_url = database_url
      @folder = File.join(ROOT, "test-apps", name)
      @env = {"RAILS_ENV" => "development", "DATABASE_URL" => database_url, "PORT" => port.to_s, **env}
      @server = Child.new(name, "ruby", "bin/puma", env: @env, folder: @folder)
      @http = JsonHttp.new("http://127.0.0.1:#{port}")
    end

    def migrate
      rake("db:migrate")
    end

    # @return [String] stdout
    def rake(*arguments, env: {}, statuses: [0])
      Child.run("#{@name}-rake", "ruby", "bin/rake", *arguments, env: @env.merge(env), folder: @folder, statuses: statuses)
    end

    # Starts and waits until it answers.
    # @param checks [Checks]
    def start(checks, env: {})
      @server.start(env: env)
      checks.eventually("#{@name} answers; see #{@server.log}") do
        raise Failed, "#{@name} ended at once; see #{@server.log}" unless @server.running?

        @http.page
      end
    end

    def stop
      @server.stop
    end

    def kill
      @server.kill
    end
  end
end
