# frozen_string_literal: true

require "rails/generators"
require "rails/generators/active_record/migration"

module ReplicatesTo
  module Generators
    # `rails g replicates_to:receiver`: initializer, mount line and the migration of the version guard. What is there
    # already is left as it is, so a second run changes nothing.
    class ReceiverGenerator < Rails::Generators::Base
      include ActiveRecord::Generators::Migration

      INITIALIZER = "config/initializers/replicates_to_receiver.rb"
      MIGRATION = "create_replicates_to_versions"
      MOUNT = 'mount ReplicatesTo::Receiver => "/replicates_to"'

      desc "Takes the records of replicates_to: initializer, mount line, migration"
      source_root File.expand_path("templates", __dir__)

      def create_initializer
        return say_status(:exist, INITIALIZER, :blue) if File.exist?(File.join(destination_root, INITIALIZER))

        template "initializer.rb.tt", INITIALIZER
      end

      def mount_receiver
        routes = File.join(destination_root, "config/routes.rb")
        return say_status(:exist, MOUNT, :blue) if File.read(routes).include?("ReplicatesTo::Receiver")

        route MOUNT
      end

      def create_version_guard
        existing = self.class.migration_exists?(File.join(destination_root, "db/migrate"), MIGRATION)
        return say_status(:exist, relative_to_original_destination_root(existing), :blue) if existing

        migration_template "migration.rb.tt", "db/migrate/#{MIGRATION}.rb"
      end

      private

      def migration_version
        ActiveRecord::Migration.current_version
      end

      def secret_variable
        name = Rails.application.class.name.deconstantize
        "#{name.underscore.tr('/', '_').upcase}_WEBHOOK_SECRET"
      end
    end
  end
end
