# frozen_string_literal: true

require "json"
require "open3"
require "rbconfig"

# A process of its own for what a process can do only once: fork, exit, be interrupted.
#
# Its script is in scenarios/ and finds its arguments in ARGV. It must end by itself; one that does not is killed, and
# the spec fails.
class Scenario
  DEADLINE = 60

  attr_reader :pid, :output

  # Runs a scenario to its end.
  #
  # @return [Object] what the last line that it printed says, as JSON
  def self.result(name, *arguments)
    start(name, *arguments).result
  end

  def self.start(name, *arguments)
    new(name, arguments)
  end

  def initialize(name, arguments)
    script = File.expand_path("scenarios/#{name}.rb", __dir__)
    @reader, writer = IO.pipe
    @pid = Process.spawn(RbConfig.ruby, script, *arguments.map(&:to_s), out: writer, err: %i[child out])
    writer.close
    @output = +""
  end

  # Waits until the process has printed this line.
  def wait_for(line)
    @output << within(DEADLINE) { @reader.gets or raise "ended without #{line}: #{output}" } until output.include?("#{line}\n")
  end

  def signal(name)
    Process.kill(name, pid)
  end

  # @return [Process::Status]
  def status
    @output << within(DEADLINE) { @reader.read }
    @status ||= within(DEADLINE) { Process.wait2(pid).last }
  end

  def result
    raise "exit #{status.inspect}: #{output}" unless status.success?

    JSON.parse(output.lines.last)
  end

  private

  def within(seconds, &block)
    worker = Thread.new(&block)
    worker.report_on_exception = false
    return worker.value if worker.join(seconds)

    Process.kill(:KILL, pid)
    raise "still running after #{seconds} s: #{output}"
  end
end
