# frozen_string_literal: true

require "json"
require "open3"

# The real PostgreSQL and Kafka that bin/services started.
module Services
  ROOT = File.expand_path("../../..", __dir__)

  module_function

  def postgres_url
    status.fetch("postgres").fetch("url")
  end

  def brokers
    status.fetch("kafka").fetch("brokers")
  end

  def status
    @status ||= begin
      output, = Open3.capture2(File.join(ROOT, "bin/services"), "status", "--json")
      found = JSON.parse(output)
      raise "start them first: bin/services up" unless found.values.all? { |service| service["running"] }

      found
    end
  end
end
