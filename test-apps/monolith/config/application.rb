# frozen_string_literal: true

require_relative "boot"
require "rails"
require "active_record/railtie"
require "action_controller/railtie"
require "action_view/railtie"
require "replicates_to"
require_relative "../../shared/sqlite"

module Monolith
  # The producer: owners, their vehicles, drivers. What it publishes is said in its models.
  class Application < Rails::Application
    config.load_defaults Rails::VERSION::STRING.to_f
    config.root = File.expand_path("..", __dir__)
    config.eager_load = true
    config.cache_classes = true
    config.hosts.clear
    config.logger = ActiveSupport::Logger.new($stdout)
    config.log_level = ENV.fetch("LOG_LEVEL", "info").to_sym
    config.secret_key_base = "the test apps keep no secrets"
    config.active_record.dump_schema_after_migration = false
    config.filter_parameters += %i[email]
    # What `rails g replicates_to:triggers` wrote, for PostgreSQL; beside callbacks, every change would be noted twice.
    config.paths["db/migrate"] << "db/triggers" if ENV["REPLICATES_TO_COVERAGE"] == "triggers"
  end
end
