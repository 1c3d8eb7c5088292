# frozen_string_literal: true

# What such a process begins with: the database, settings and models of the example that started it.
$LOAD_PATH.unshift(File.expand_path("../../lib", __dir__))

require "json"
require "logger"
require "active_record"
require "replicates_to"
require_relative "services"
require_relative "settings"
require_relative "models"
require_relative "waiting"

ActiveRecord::Base.establish_connection(JSON.parse(ENV.fetch("OWN_PROCESS_DATABASE"), symbolize_names: true))
ActiveRecord::Base.logger = Logger.new($stderr, level: :warn)

ReplicatesTo.configure do |c|
  c.source = "monolith"
  c.kafka.brokers = ENV.fetch("OWN_PROCESS_BROKERS")
  c.kafka.topic_prefix = ENV.fetch("OWN_PROCESS_PREFIX")
  c.sweep.in_process = false
  c.kafka.properties = {"linger.ms" => "0"}
  JSON.parse(ENV.fetch("OWN_PROCESS_SETTINGS")).each { |key, value| Settings.assign(c, key.split("__"), value) }
end

# The wall clock's time when all processes that were started together begin.
def starting_time
  puts "ready"
  Float($stdin.gets).tap { |moment| Waiting.until_true { Time.now.to_f >= moment } }
end
