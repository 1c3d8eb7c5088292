# frozen_string_literal: true

module ReplicatesTo
  class Check
    # An association that a model's rows are computed from, and who tells of a change in the rows read.
    class Reading
      # @param model [Class] whose rows are published
      # @param reader [Class] whose association it is
      # @param name [Symbol] of the association
      def initialize(model, reader, name)
        @model = model
        @reader = reader
        @name = name
        @path = RailsPrivate::AssociationPath.new(reader, name)
      end

      # @return [String, nil] why nothing can be read
      def fault
        return "which is not an association of #{@reader.name}#{Nearest.hint(@name, @reader.reflections.keys)}" unless @path.found?

        "which does not work: #{@path.fault}" unless @path.polymorphic? || @path.fault.nil?
      end

      # @return [Array<Class>] that the association leads to
      def targets
        @path.polymorphic? ? owners : [@path.klass]
      end

      # @return [Array<Class>] whose changes nobody hears of, those of the tables between included
      def unheard
        (@path.polymorphic? ? owners : @path.classes).uniq.reject { |klass| told?(klass) }
      end

      # @param klass [Class] one of {#unheard}
      # @return [String] what to add to it
      def remedy(klass)
        down = associations(klass).find { |one| !one.belongs_to? && leads_to_model?(one) }
        return "add republishes :#{down.name} to #{klass.name}" if down

        up = associations(klass).find { |one| one.belongs_to? && leads_to_model?(one) }
        return "add touch: true to belongs_to :#{up.name} of #{klass.name}" if up

        "give #{klass.name} an association to #{@model.name}, and republish it"
      end

      private

      # A class that touches another one changes its rows, too.
      def told?(klass, seen = [])
        return false if seen.include?(klass)

        republished = klass.respond_to?(:replicates_to_republications) ? klass.replicates_to_republications.keys : []
        return true if republished.any? { |name| leads_to_model?(klass.reflect_on_association(name)) }

        associations(klass).select { |one| one.belongs_to? && one.options[:touch] }.any? do |touching|
          leads_to_model?(touching) || (!touching.polymorphic? && told?(touching.klass, [*seen, klass]))
        end
      end

      # @return [Array<Class>] that have the reader as the one they own
      def owners
        ActiveRecord::Base.descendants.reject { |klass| klass.abstract_class? || klass.name.nil? }.select do |klass|
          associations(klass).any? { |one| one.options[:as] == @name && leads_to?(one, @reader) }
        end
      end

      def leads_to_model?(association)
        !association.nil? && leads_to?(association, @model)
      end

      def leads_to?(association, model)
        return model.reflect_on_all_associations.any? { |one| one.options[:as] == association.name } if association.polymorphic?

        association.klass.table_name == model.table_name
      rescue NameError
        false
      end

      def associations(klass)
        klass.reflect_on_all_associations
      end
    end
  end
end
