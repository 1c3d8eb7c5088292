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
        usable = model.replicates_to_republications.values.select { |one| usable?(model, one.association) }
        @findings.ok(model.name, "republishes #{usable.map(&:association).join(', ')}") if usable.any?
        usable.select { |one| one.column(model).nil? }.each { |one| check_siblings(model, one.association) }
      end

      # One that is written would have all the others published again.
      def check_siblings(model, name)
        up = model.reflect_on_association(name).klass.reflect_on_all_associations(:belongs_to).find do |one|
          (one.options[:touch] || one.options[:counter_cache]) && !one.polymorphic? && one.klass.table_name == model.table_name
        end
        return unless up

        what = up.options[:touch] ? "touches" : "counts itself in"
        @findings.warn(model.name, "republishes all #{name} whenever one of them #{what} its #{up.name}: say whose change " \
                                   "matters, as in republishes :#{name}, if: :saved_change_to_name?")
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
