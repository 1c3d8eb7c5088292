# frozen_string_literal: true

require "open3"
require "rbconfig"

# Ruby code in a process of its own, with the gem, the models and the database of the example.
class OwnProcess
  PRELUDE = <<~RUBY
    $stdout.sync = true
    require #{File.expand_path('own_process_prelude', __dir__).inspect}
  RUBY

  Result = Struct.new(:output, :error, :status)

  # Runs to its end.
  def self.run(database, code, **settings)
    output, error, status = Open3.capture3(environment(database, settings), RbConfig.ruby, "-e", PRELUDE + code)
    Result.new(output, error, status)
  end

  # Starts, and hands out the running process: lines it prints can be awaited, and it can be killed.
  def self.start(database, code, **settings)
    new(database, code, settings)
  end

  # Starts several with one code, which calls `starting_time`: it returns in all of them at once, however long each took
  # to load.
  def self.start_together(database, count, code, **settings)
    processes = Array.new(count) { start(database, code, **settings) }
    processes.each { |process| process.await("ready") }
    moment = Time.now.to_f + 0.2
    processes.each { |process| process.say(moment) }
  end

  def self.environment(database, settings)
    {"OWN_PROCESS_DATABASE" => JSON.generate(database.config), "OWN_PROCESS_SETTINGS" => JSON.generate(settings),
     "OWN_PROCESS_PREFIX" => ReplicatesTo.config["kafka.topic_prefix"], "OWN_PROCESS_BROKERS" => Services.brokers}
  end

  attr_reader :pid

  def initialize(database, code, settings)
    @input, @output, @thread = Open3.popen2e(self.class.environment(database, settings), RbConfig.ruby, "-e", PRELUDE + code)
    @pid = @thread.pid
    @lines = []
  end

  def await(line, seconds = 30)
    Timeout.timeout(seconds) do
      loop do
        found = @output.gets or raise "the process ended before it printed #{line}: #{@lines.join}"
        @lines << found
        break if found.include?(line)
      end
    end
  end

  def say(line)
    @input.puts(line)
    @input.flush
  end

  def running?
    @thread.alive?
  end

  def kill(signal)
    Process.kill(signal, pid)
    wait
  end

  def wait(seconds = 60)
    Timeout.timeout(seconds) do
      @lines.concat(@output.readlines)
      @thread.value
    end
  end

  def output
    @lines.join
  end
end
