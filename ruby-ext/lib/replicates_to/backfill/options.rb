# frozen_string_literal: true

module ReplicatesTo
  class Backfill
    # What `rake replicates_to:backfill[Vehicle,billing] NAME=value …` asks for, checked.
    class Options
      NAMES = %w[SCOPE WHERE RATE BATCH FENCE_TIMEOUT DRY_RUN NEW].freeze

      # @return [Class]
      attr_reader :model
      # @return [Array<Symbol>]
      attr_reader :destinations
      # @return [String, nil] name of a scope; SQL of a condition
      attr_reader :scope, :where
      # @return [Integer, nil] rows per second
      attr_reader :rate
      # @return [Integer] rows read at once
      attr_reader :batch
      # @return [Numeric] seconds
      attr_reader :fence_timeout
      # @return [Boolean] only read and encode; begin another run although one is unfinished
      attr_reader :dry_run, :another

      # @param model [String] class name
      # @param destinations [Array<String>] none: all of the model's
      # @param values [#[]] by the names above, as text
      # @raise [ConfigurationError]
      def initialize(model, destinations = [], values = {})
        @model = find_model(model)
        @destinations = find_destinations(destinations)
        @scope, @where = find_scope(values["SCOPE"]), values["WHERE"].presence
        @rate = read(values, "RATE") { |value| Configuration::Values.integer(value, 1..) }
        @batch = read(values, "BATCH") { |value| Configuration::Values.integer(value, 1..100_000) } || ReplicatesTo.config["backfill.batch"]
        @fence_timeout = read(values, "FENCE_TIMEOUT") { |value| Configuration::Values.duration(value) } ||
                         ReplicatesTo.config["backfill.fence_timeout"]
        @dry_run, @another = %w[DRY_RUN NEW].map { |name| read(values, name) { |value| flag(value) } || false }
      end

      # @return [Array<Mapping>]
      # @raise [MappingError]
      def mappings
        destinations.map { |destination| model.replicates_to_mapping(destination) }
      end

      # @return [String] what of the model is published, the same text for the same line
      def selection
        JSON.generate({scope: scope, where: where}.compact)
      end

      private

      def find_model(name)
        found = name.to_s.safe_constantize
        return found if found.respond_to?(:replicates?) && found.replicates?

        known = ReplicatesTo.models.map(&:name)
        raise ConfigurationError, "#{name.inspect} is not a replicated model#{Nearest.hint(name, known)}; there are #{known.join(', ')}"
      end

      def find_destinations(names)
        declared = model.replicates_to_declarations.keys
        unknown = names.find { |name| !declared.include?(name.to_s.to_sym) }
        raise ConfigurationError, "#{model.name} has no destination #{unknown}#{Nearest.hint(unknown, declared)}" if unknown

        names.empty? ? declared : names.map { |name| name.to_s.to_sym }
      end

      def find_scope(name)
        return if name.blank?
        return name if model.respond_to?(name)

        raise ConfigurationError, "#{model.name} has no scope #{name}"
      end

      def read(values, name)
        yield values[name] unless values[name].to_s.empty?
      rescue ArgumentError => e
        raise ConfigurationError, "#{name} #{e.message}"
      end

      def flag(value)
        Configuration::Values.boolean(value == "1" ? true : value)
      end
    end
  end
end
