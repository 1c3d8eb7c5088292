# frozen_string_literal: true

module ReplicatesTo
  class Configuration
    # Finds config/replicates_to.yml of a Rails application and the section of its environment.
    module Loader
      FILE = "config/replicates_to.yml"

      # @param assigned [Hash{String => Object}] of the configure block
      # @return [Configuration]
      # @raise [ConfigurationError]
      def self.load(assigned)
        return Configuration.new(assigned: assigned) unless application

        path = application.root.join(FILE)
        Configuration.new(file: path.exist? ? section(path) : {}, assigned: assigned, default_source: source)
      end

      # @return [Hash] what the file says for this environment
      def self.section(path)
        require "active_support/configuration_file"
        content = ActiveSupport::ConfigurationFile.parse(path) || {}
        raise ConfigurationError, "#{FILE} must be a table of environments, not #{content.inspect}" unless content.is_a?(Hash)

        content.fetch(Rails.env, nil) || {}
      # Psych's syntax errors are not standard errors; a fault inside ERB may be any.
      rescue StandardError, SyntaxError => e
        raise if e.is_a?(Error)

        raise ConfigurationError, "#{FILE} cannot be read: #{e.message}"
      end

      # @return [String] the application's module, underscored
      def self.source
        application.class.module_parent_name&.underscore
      end

      def self.application
        Rails.application if defined?(Rails.application)
      end
      private_class_method :application
    end
  end
end
