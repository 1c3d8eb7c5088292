# frozen_string_literal: true

require "fileutils"
require "json"
require "tmpdir"
require_relative "script"

# A services' folder of its own, so that the services that are running for others stay untouched.
class ServicesFolder
  attr_reader :path

  # @param reachable [Boolean] whether the user `postgres` may enter it
  def initialize(reachable: true)
    @path = Dir.mktmpdir("services")
    File.chmod(0o755, @path) if reachable
  end

  # @return [Script] how `bin/services ARGUMENTS` ended
  def run(*arguments)
    Script.run("bin/services", *arguments, environment: {"SERVICES_DIR" => path})
  end

  # @return [Hash] what `status --json` says
  def status
    JSON.parse(run("status", "--json").output)
  end

  # @return [String] where PostgreSQL's data really are
  def postgres_data
    File.realpath(File.join(path, "postgres"))
  end

  # Stops what runs from here and removes every trace.
  def remove
    run("down")
    FileUtils.rm_rf(postgres_data) if File.symlink?(File.join(path, "postgres"))
    FileUtils.rm_rf(path)
  end
end
