# frozen_string_literal: true

require_relative "../../bin/support/free_port"
require_relative "folder"
require_relative "patience"

module Stack
  # A process of the stack, in a process group of its own, with its output in NAME.log of the stack's folder. Signals go
  # to that group and to nothing else.
  class Child
    STOP_SECONDS = 30
    # Of its log, for a failure.
    LAST_LINES = 15

    # Runs a command to its end.
    # @param folder [Folder]
    # @return [String] stdout
    # @raise [Failed] unless it exits with one of the statuses
    def self.run(folder, name, *command, env: {}, chdir: ROOT, statuses: [0])
      log = folder.file("#{name}.log")
      output = folder.file("#{name}.out")
      pid = spawn(env, *command, chdir: chdir, pgroup: true, out: output, err: [log, "a"])
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
    # @return [Integer, nil] nil before it was started
    attr_reader :pid

    # @param folder [Folder]
    def initialize(folder, name, *command, env: {}, chdir: ROOT)
      @folder = folder
      @name = name
      @command = command
      @env = env
      @chdir = chdir
    end

    # @param env [Hash] on top of the child's own
    def start(env: {})
      raise Failed, "#{name} is running already" if running?

      @pid = spawn(@env.merge(env), *@command, chdir: @chdir, pgroup: true, %i[out err] => [log, "a"])
    end

    # @return [Boolean]
    def running?
      return false unless @pid

      _, @status = Process.wait2(@pid, Process::WNOHANG)
      @pid = nil if @status
      !@pid.nil?
    end

    # @raise [Failed] with its last words when it has ended
    def expect_running
      raise Failed, "#{name} ended; see #{log}:\n#{last_words}" unless running?
    end

    # Waits until it has ended by itself.
    # @param within [Numeric] seconds
    # @raise [Failed] unless it ended well
    def finish(within:)
      Patience.eventually("#{name} ends; see #{log}", within: within) { !running? }
      raise Failed, "#{name} exited with #{@status.exitstatus.inspect}; see #{log}:\n#{last_words}" unless @status.success?
    end

    # @param pattern [String, Regexp]
    # @return [Boolean] whether its output has it
    # @raise [Failed] when it has ended without saying so
    def said?(pattern)
      ended = !running?
      return true if File.read(log).match?(pattern)

      expect_running if ended
      false
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

    # @return [Integer] bytes of memory it holds
    # @raise [Failed] when it is not running
    def resident_bytes
      raise Failed, "#{name} is not running" unless running?

      Integer(File.read("/proc/#{@pid}/status")[/^VmRSS:\s+(\d+) kB/, 1]) * 1024
    end

    # @return [String] path
    def log
      @folder.file("#{name}.log")
    end

    private

    def last_words
      File.readlines(log).last(LAST_LINES).join
    end

    def signal(name)
      Process.kill(name, -@pid) if running?
    end
  end
end
