# frozen_string_literal: true

require "fileutils"
require_relative "failed"

module Stack
  ROOT = File.expand_path("../..", __dir__)

  # Where one stack keeps its databases, settings and logs: a folder below tmp/, emptied at the start.
  class Folder
    # @return [String]
    attr_reader :path

    # Takes the folder until it is released, or this process ends.
    # @param name [String] below tmp/
    # @raise [Failed] when another process has it
    def initialize(name)
      @path = File.join(ROOT, "tmp", name)
      FileUtils.mkdir_p(File.dirname(@path))
      @lock = File.open("#{@path}.lock", "w")
      raise Failed, "another stack is running in #{@path}" unless @lock.flock(File::LOCK_EX | File::LOCK_NB)

      FileUtils.rm_rf(@path)
      FileUtils.mkdir_p(@path)
    end

    # Leaves the folder to the next; what is in it stays until then.
    def release
      @lock.close
    end

    # @return [String] path of a file in it
    def file(name)
      File.join(@path, name)
    end
  end
end
