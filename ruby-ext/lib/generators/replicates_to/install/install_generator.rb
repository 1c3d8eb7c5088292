# frozen_string_literal: true

require "rails/generators"
require "rails/generators/active_record/migration"

module ReplicatesTo
  module Generators
    # `rails g replicates_to:install [--database=NAME] [--triggers]`: the configuration file and one migration. What is there already
    # is left as it is, so a second run changes nothing.
    class InstallGenerator < Rails::Generators::Base
      include ActiveRecord::Generators::Migration

      CONFIGURATION = "config/replicates_to.yml"
      MIGRATION = "create_replicates_to"

      desc "Publishes rows with replicates_to: configuration file, migration"
      source_root File.expand_path("templates", __dir__)
      class_option :database, type: :string, aliases: %w[--db], desc: "The database of the replicated models, when there are several"
      class_option :triggers, type: :boolean, default: false, desc: "Note changes by triggers of PostgreSQL, see replicates_to:triggers"

      def create_configuration
        return say_status(:exist, CONFIGURATION, :blue) if File.exist?(File.join(destination_root, CONFIGURATION))

        template "replicates_to.yml.tt", CONFIGURATION
      end

      def create_migration_file
        directory = Array(db_migrate_path).first
        existing = self.class.migration_exists?(File.expand_path(directory, destination_root), MIGRATION)
        return say_status(:exist, relative_to_original_destination_root(existing), :blue) if existing

        migration_template "migration.rb.tt", File.join(directory, "#{MIGRATION}.rb")
      end

      private

      def migration_version
        ActiveRecord::Migration.current_version
      end

      def application_name
        Rails.application.class.module_parent_name.underscore
      end
    end
  end
end
