# frozen_string_literal: true

require_relative "child"
require_relative "json_http"
require_relative "patience"

module Stack
  # One of the Rails apps under test-apps, served by Puma.
  class RailsApp
    # @return [JsonHttp]
    attr_reader :http
    # @return [String]
    attr_reader :database_url

    # @param folder [Folder]
    # @param name [String] folder below test-apps
    def initialize(folder, name, database_url:, env: {})
      port = FreePort.choose
      @folder = folder
      @name = name
      @database_url = database_url
      @home = File.join(ROOT, "test-apps", name)
      @env = {"RAILS_ENV" => "development", "DATABASE_URL" => database_url, "PORT" => port.to_s, **env}
      @server = server
      @http = JsonHttp.new("http://127.0.0.1:#{port}")
    end

    # Environment variables for whatever is started from now on.
    #
    # @param env [Hash{String => String}]
    # @return [void]
    def configure(env)
      @env = @env.merge(env)
      @server = server
    end

    def migrate
      rake("db:migrate")
    end

    # @return [String] stdout
    def rake(*arguments, env: {}, statuses: [0])
      Child.run(@folder, "#{@name}-rake", "ruby", "bin/rake", *arguments,
                env: @env.merge(env), chdir: @home, statuses: statuses)
    end

    # A rake task as a process.
    # @return [Child] not started
    def task(name, env: {})
      Child.new(@folder, "#{@name}-task", "ruby", "bin/rake", name, env: @env.merge(env), chdir: @home)
    end

    # Another process of the app, which runs a file of Ruby.
    # @param name [String] of its log
    # @param file [String] path
    # @return [Child] not started
    def runner(name, file, env: {})
      Child.new(@folder, name, "ruby", "bin/rails", "runner", file, env: @env.merge(env), chdir: @home)
    end

    # Starts and waits until it answers.
    def start(env: {})
      @server.start(env: env)
      Patience.eventually("#{@name} answers; see #{@server.log}") do
        @server.expect_running
        @http.page
      end
    end

    def stop
      @server.stop
    end

    def kill
      @server.kill
    end

    # @return [Integer] bytes of memory its server holds
    def resident_bytes
      @server.resident_bytes
    end

    private

    def server
      Child.new(@folder, @name, "ruby", "bin/puma", env: @env, chdir: @home)
    end
  end
end
