# frozen_string_literal: true

module ReplicatesTo
  # The classes that declare a destination or an association to republish, by name: in development a class is loaded again
  # under its name, and a kept reference would be the old one.
  module Registry
    @names = []
    @touching = {}.compare_by_identity
    @databases = {}.compare_by_identity
    @mutex = Mutex.new

    class << self
      # @param model [Class]
      # @return [void]
      def add(model)
        @mutex.synchronize { @names |= [model.name] }
        changed
      end

      # A class was loaded, or loaded again: which classes write to a table has to be found out anew.
      #
      # @return [void]
      def changed
        @touching = {}.compare_by_identity
        @databases = {}.compare_by_identity
      end

      # @return [Array<Class>] concrete models, those of abstract declarations included, in the order they were loaded
      def models
        noted.select(&:replicates?)
      end

      # @return [Array<Class>] those, and the models that only have others republished
      def noted
        @mutex.synchronize { @names.dup }
              .filter_map(&:safe_constantize)
              .select { |model| model.respond_to?(:replicates_to_declarations) }
              .flat_map { |model| model.abstract_class? ? concrete(model) : [model] }
              .select(&:noted?).uniq
      end

      # @param model [Class] any ActiveRecord class
      # @return [Class, nil] a noted class whose rows a write to that class's table may change
      def touched_by(model)
        touching(model).first
      end

      # @param model [Class] any ActiveRecord class
      # @return [Array<Class>] the noted classes of its table, the class itself first
      def touching(model)
        @touching[model] ||= noted.select { |known| same_table?(known, model) }.sort_by { |one| one == model ? 0 : 1 }
      end

      # @param pool [ActiveRecord::ConnectionAdapters::ConnectionPool]
      # @return [Hash{String => String}] name of its connection by table (without schema) of each noted model that uses it
      def databases_of(pool)
        @databases[pool] ||= noted.select { |model| RailsPrivate.pool_of(model).equal?(pool) }
                                  .to_h { |model| [model.table_name.split(".").last, model.connection_specification_name] }
      end

      private

      def same_table?(known, model)
        known == model || (known.table_name == model.table_name &&
          known.connection_specification_name == model.connection_specification_name)
      end

      def concrete(model)
        model.descendants.reject(&:abstract_class?)
      end
    end
  end
end
