# frozen_string_literal: true

require "replicates_to/check/reading"

module ReplicatesTo
  class Check
    # Rows that are computed from other rows: whether what is republished can be followed, and what nothing republishes.
    class Associations
      # @param findings [Findings]
      def initialize(findings)
        @findings = findings
      end

      # @return [void]
      def run
        Registry.noted.each { |model| check_republications(model) }
        ReplicatesTo.models.each do |model|
          own(model).each { |destination, declaration| check_reads(model, destination, model, tree(declaration.includes)) }
        end
      end

      private

      def check_republications(model)
        names = model.replicates_to_republications.keys.select { |name| usable?(model, name) }
        @findings.ok(model.name, "republishes #{names.join(', ')}") if names.any?
      end

      def usable?(model, name)
        FanOut::Dependants.new(model, name)
      rescue MappingError => e
        @findings.fail(model.name, e.message.delete_prefix("#{model.name}: "))
        false
      rescue ActiveRecord::ActiveRecordError => e
        @findings.fail(model.name, Check.reason(e))
        false
      end

      # What a class inherits was said of the class above it.
      def own(model)
        above = model.superclass.respond_to?(:replicates_to_declarations) && !model.superclass.abstract_class?
        inherited = above ? model.superclass.replicates_to_declarations : {}
        model.replicates_to_declarations.reject { |destination, declaration| inherited[destination].equal?(declaration) }
      end

      # @param includes [Symbol, Array, Hash, nil] as in `ActiveRecord#includes`
      # @return [Hash{Symbol => Hash}] the same, in one form
      def tree(includes)
        case includes
        when nil then {}
        when Hash then includes.to_h { |name, nested| [name.to_sym, tree(nested)] }
        when Array then includes.map { |one| tree(one) }.reduce({}, :deep_merge)
        else {includes.to_sym => {}}
        end
      end

      # @param reader [Class] whose associations these are: the model, or what it reads them through
      def check_reads(model, destination, reader, associations, path = [])
        associations.each do |name, nested|
          reading = Reading.new(model, reader, name)
          way = [*path, name].join(".")
          next @findings.fail("#{model.name} -> #{destination}", "includes #{way}, #{reading.fault}") if reading.fault

          reading.unheard.each do |klass|
            @findings.warn("#{model.name} -> #{destination}", "reads #{way}, which nothing republishes: #{reading.remedy(klass)}")
          end
          reading.targets.each { |target| check_reads(model, destination, target, nested, [*path, name]) }
        end
      end
    end
  end
end
