# frozen_string_literal: true

module ReplicatesTo
  # The classes that declare a destination, by name: in development a class is loaded again under its name, and a
  # kept reference would be the old one.
  module Registry
    @names = []
    @mutex = Mutex.new

    class << self
      # @param model [Class]
      # @return [void]
      def add(model)
        @mutex.synchronize { @names |= [model.name] }
      end

      # @return [Array<Class>] concrete models, those of abstract declarations included, in the order they were loaded
      def models
        @mutex.synchronize { @names.dup }
              .filter_map(&:safe_constantize)
              .select { |model| model.respond_to?(:replicates_to_declarations) }
              .flat_map { |model| model.abstract_class? ? concrete(model) : [model] }
              .select(&:replicates?).uniq
      end

      # @param model [Class] any ActiveRecord class
      # @return [Class, nil] a replicated class whose rows a write to that class's table may change
      def touched_by(model)
        models.find do |replicated|
          replicated == model || (replicated.table_name == model.table_name &&
            replicated.connection_specification_name == model.connection_specification_name)
        end
      end

      private

      def concrete(model)
        model.descendants.reject(&:abstract_class?)
      end
    end
  end
end
