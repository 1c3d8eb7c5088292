# frozen_string_literal: true

require "fileutils"
require "socket"

module Demo
  ROOT = File.expand_path("../..", __dir__)
  FOLDER = File.join(ROOT, "tmp/demo")

  # A process of the demo, in a process group of its own, with its output in tmp/demo/NAME.log. Signals go to that
  # group and to nothing else.
  class Child
    STOP_SECONDS = 30

    # @return [Integer] a loopback port that nobody listens on
    def self.free_port
      server = TCPServer.new("127.0.0.1", 0)
      server.addr[1]
    ensure
      server&.close
    end

    # Runs a command to its end.
    # @return [String] stdout
    # @raise [Failed] unless it exits with one of the statuses
    def self.run(name, *command, env: {}, folder: ROOT, statuses: [0])
      FileUtils.mkdir_p(FOLDER)
      log = File.join(FOLDER, "#{name}.log")
      output = File.join(FOLDER, "#{name}.out")
      pid = spawn(env, *command, chdir: folder, pgroup: true, out: output, err: [log, "a"])
      _, status = Process.wait2(pid)
      pid = nil
      return File.read(output) if statuses.include?(status.exitstatus)

      raise Failed, "#{command.join(' ')} exited with #{status.exitstatus}; see #{log} and #{output}"
    ensure
      # Interrupted while it ran.
      Process.kill("TERM", -pid) && Process.wait(pid) if pid
    end

    # @return [String]
    attr_reader :name

    def initialize(name, *command, env: {}, folder: ROOT)
      @name = name
      @command = command
      @env = env
      @folder = folder
    end

    # @param env [Hash] on top of the child's own
    def start(env: {})
      raise Failed, "#{name} is running already" if running?

      FileUtils.mkdir_p(FOLDER)
      @pid = spawn(@env.merge(env), *@command, chdir: @folder, pgroup: true, %i[out err] => [log, "a"])
    end

    # @return [Boolean]
    def running?
      return false unless @pid

      @pid = nil if Process.wait(@pid, Process::WNOHANG)
      !@pid.nil?
    end

    # Asks it to end, and waits.
    def stop
      signal("TERM")
      deadline = Time.now + STOP_SECONDS
      sleep 0.02 while running? && Time.now < deadline
      kill
    end

    # kill -9.
    def kill
      return unless running?

      signal("KILL")
      Process.wait(@pid)
      @pid = nil
    end

    # @return [String] path
    def log
      File.join(FOLDER, "#{name}.log")
    end

    private

    def signal(name)
      Process.kill(name, -@pid) if running?
    end
  end
end
