# frozen_string_literal: true

require "fileutils"
require "open3"
require "rbconfig"
require "tmpdir"
require_relative "../../../bin/support/free_port"

# A Rails application of its own, made for the example in a temporary folder and run without Bundler.
class RailsApp
  LIB = File.expand_path("../../lib", __dir__)
  TEMPLATE = File.expand_path("app", __dir__)

  Result = Struct.new(:output, :error, :exit_code)

  attr_reader :root

  # @param database [Database]
  def initialize(database)
    @database = database
    @root = Dir.mktmpdir("replicates_to_app")
    FileUtils.cp_r("#{TEMPLATE}/.", root)
    @processes = []
  end

  def run(*command, input: "", **env)
    output, error, status = Open3.capture3(environment(env), RbConfig.ruby, *command, chdir: root, stdin_data: input)
    Result.new(output, error, status.exitstatus)
  end

  def rails(*arguments, **options)
    run("bin/rails", *arguments, **options)
  end

  def rake(*arguments, **options)
    run("bin/rake", *arguments, **options)
  end

  # Starts Puma and waits until it answers.
  def serve(*arguments, **env)
    port = FreePort.choose
    log = File.join(root, "server.log")
    pid = Process.spawn(environment(env), RbConfig.ruby, Gem.bin_path("puma", "puma"), "-b", "tcp://127.0.0.1:#{port}", *arguments,
                        chdir: root, out: log, err: log)
    @processes << pid
    Waiting.until_true(60, "Puma: #{File.read(log)}") { answers?(port) }
    Server.new(pid, port, log)
  end

  def write(path, content)
    File.join(root, path).tap { |file| FileUtils.mkdir_p(File.dirname(file)) }.then { |file| File.write(file, content) }
  end

  def files(pattern)
    Dir.glob(pattern, base: root).sort
  end

  def remove
    @processes.each do |pid|
      Process.kill("KILL", pid)
      Process.wait(pid)
    rescue Errno::ESRCH, Errno::ECHILD
      next
    end
    FileUtils.rm_rf(root)
  end

  # A running Puma.
  Server = Struct.new(:pid, :port, :log) do
    def get(path)
      require "net/http"
      Net::HTTP.get_response("127.0.0.1", path, port)
    end

    def stop(signal)
      Process.kill(signal, pid)
      Process.wait(pid)
    end
  end

  private

  def answers?(port)
    TCPSocket.open("127.0.0.1", port).close || true
  rescue Errno::ECONNREFUSED
    false
  end

  def environment(env)
    {"RAILS_ENV" => "production", "SECRET_KEY_BASE" => "x" * 64, "RUBYLIB" => LIB, "DATABASE_URL" => @database.config[:url],
     "RAILS_LOG_TO_STDOUT" => nil, "REPLICATES_TO_KAFKA_BROKERS" => Services.brokers,
     "REPLICATES_TO_KAFKA_TOPIC_PREFIX" => ReplicatesTo.config["kafka.topic_prefix"]}.merge(env.transform_keys(&:to_s))
  end
end
