# frozen_string_literal: true

require "open3"

# How a script of this repository ended, and what it said.
class Script
  ROOT = File.expand_path("../../..", __dir__)

  attr_reader :output, :errors, :exit_code

  # Runs a script and waits for its end.
  #
  # @param path [String] from the top of the repository (`bin/services`), or absolute
  # @param arguments [Array<String>]
  # @param environment [Hash{String=>String}] added to this process's
  # @return [Script]
  def self.run(path, *arguments, environment: {})
    output, errors, status = Open3.capture3(environment, File.expand_path(path, ROOT), *arguments, stdin_data: "")
    new(output: output, errors: errors, exit_code: status.exitstatus)
  end

  def initialize(output:, errors:, exit_code:)
    @output = output
    @errors = errors
    @exit_code = exit_code
  end
end
