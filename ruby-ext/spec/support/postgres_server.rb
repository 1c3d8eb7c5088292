# frozen_string_literal: true

require "fileutils"
require "open3"
require "tmpdir"
require_relative "../../../bin/support/free_port"

# A PostgreSQL server that an example can kill, copy and promote. Root may not run it: for root the user postgres does.
class PostgresServer
  SETTINGS = <<~CONF
    listen_addresses = '127.0.0.1'
    unix_socket_directories = ''
    fsync = off
    # No checkpoint comes by itself.
    checkpoint_timeout = '30min'
  CONF
  PROGRAMS = Dir["/usr/lib/postgresql/*/bin"].max_by { |path| path[/\d+/].to_i } ||
             ENV["PATH"].split(":").find { |path| File.exist?("#{path}/initdb") }

  # @return [PostgresServer] running
  def self.create
    new.tap do |server|
      server.run("initdb", "-D", server.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale", "C.UTF-8", "--no-sync")
      server.configure(SETTINGS)
      server.start
    end
  end

  attr_reader :port

  def initialize
    # Where the user postgres can enter.
    @directory = Dir.mktmpdir("replicates_to_server", "/var/tmp")
    FileUtils.chown("postgres", nil, @directory) if root?
    @port = FreePort.choose
  end

  # @return [PostgresServer] a streaming, asynchronous standby, running
  def standby
    PostgresServer.new.tap do |standby|
      standby.run("pg_basebackup", "-d", url, "-D", standby.data, "-R", "--checkpoint=fast", "--no-sync")
      standby.configure("")
      standby.start
    end
  end

  def url
    "postgres://postgres@127.0.0.1:#{port}/postgres"
  end

  def data
    File.join(@directory, "data")
  end

  def start
    run("pg_ctl", "start", "-w", "-s", "-D", data, "-l", File.join(@directory, "log"))
  end

  # @param mode [String] fast, or immediate: as if it was killed
  def stop(mode = "fast")
    run("pg_ctl", "stop", "-w", "-s", "-m", mode, "-D", data)
  end

  def promote
    run("pg_ctl", "promote", "-w", "-s", "-D", data)
  end

  def remove
    stop("immediate") if File.exist?(File.join(data, "postmaster.pid"))
    FileUtils.rm_rf(@directory)
  end

  def configure(settings)
    File.write(File.join(data, "postgresql.conf"), "#{settings}port = #{port}\n", mode: "a")
  end

  def run(program, *arguments)
    command = [File.join(PROGRAMS, program), *arguments]
    command = ["runuser", "-u", "postgres", "--", *command] if root?
    # Into a file: the server inherits the output of pg_ctl, and a pipe would stay open as long as it runs.
    output = File.join(@directory, "output")
    return if system(*command, in: File::NULL, out: output, err: output, chdir: "/")

    raise "#{program}: #{File.read(output)}"
  end

  private

  def root?
    Process.uid.zero?
  end
end
