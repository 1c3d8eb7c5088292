# frozen_string_literal: true

require "rails/generators"
require "rails/generators/active_record/migration"

module ReplicatesTo
  module Generators
    # `rails g replicates_to:triggers Vehicle Owner`: for each table a migration with its triggers, for `coverage: triggers`.
    # Where the last one has the same SQL already, nothing is written; without names, all models that have rows published are meant.
    class TriggersGenerator < Rails::Generators::Base
      include ActiveRecord::Generators::Migration

      # The SQL of a migration that this generator wrote.
      WRITTEN = /def up\n    execute <<~'SQL'\n(.*?)\n    SQL\n/m

      desc "Notes changes by triggers: one migration for each table of the models"
      source_root File.expand_path("templates", __dir__)
      argument :models, type: :array, default: [], banner: "Vehicle Owner"
      class_option :again, type: :boolean, default: false, desc: "Write a migration although the triggers are the same, for new partitions"

      # A wrong name ends the command with 1.
      def self.exit_on_failure?
        true
      end

      def create_migration_files
        Rails.application.eager_load!
        definitions.each { |definition| write(definition) }
      rescue ReplicatesTo::Error => e
        raise Thor::Error, e.message
      end

      private

      attr_reader :definition, :previous, :file_name

      def definitions
        return Triggers.definitions if models.empty?

        models.map { |name| Triggers::Definition.new(replicated(name)) }.uniq { |one| [one.model.connection_specification_name, one.table] }
      end

      def replicated(name)
        Registry.noted.find { |model| model.name == name } ||
          raise(DeclarationError, "#{name} declares no replicates_to and no republishes#{Nearest.hint(name, Registry.noted.map(&:name))}")
      end

      def write(definition)
        @definition = definition
        written = Dir.glob(File.expand_path("#{directory}/*_#{base_name}{,_[0-9]*}.rb", destination_root)).sort
        @previous = written.last && sql_of(written.last)
        if previous == definition.create && !options[:again]
          return say_status(:identical, relative_to_original_destination_root(written.last), :blue)
        end

        @file_name = [base_name, *(written.size + 1 if written.any?)].join("_")
        migration_template "migration.rb.tt", File.join(directory, "#{file_name}.rb")
      end

      def base_name
        "replicate_#{definition.table.tr('.', '_')}_by_triggers"
      end

      # Of the model's own database, when there are several.
      def directory
        configuration = definition.model.connection_db_config
        Array(configuration.migrations_paths || Rails.application.config.paths["db/migrate"].to_a).first
      end

      def sql_of(path)
        File.read(path)[WRITTEN, 1]&.then { |sql| "#{sql.gsub(/^      /, '')}\n" }
      end

      def indented(sql)
        sql.chomp.gsub(/^(?=.)/, "      ")
      end

      def migration_version
        ActiveRecord::Migration.current_version
      end
    end
  end
end
