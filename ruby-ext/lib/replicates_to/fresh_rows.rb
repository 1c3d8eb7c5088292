# frozen_string_literal: true

module ReplicatesTo
  # Rows as they are in the database now, with the associations that their computes read.
  module FreshRows
    module_function

    # @param relation [ActiveRecord::Relation]
    # @param destinations [Array<Symbol>, nil] whose computes are asked; nil: all of a row's
    # @return [Array<ActiveRecord::Base>]
    def load(relation, destinations = nil)
      # In tests an association that a compute reads without `includes:` is an error, instead of one more query a row.
      strict = ReplicatesTo.config.memory?
      records = (strict ? relation.strict_loading : relation).to_a
      records.group_by(&:class).each { |model, of_model| RailsPrivate.preload(of_model, includes(model, destinations), strict: strict) }
      records
    end

    # A row's class may be one that does not replicate, beside others in its table.
    def includes(model, destinations)
      return [] unless model.respond_to?(:replicates_to_declarations)

      declarations = model.replicates_to_declarations
      declarations = declarations.slice(*destinations) if destinations
      declarations.values.filter_map(&:includes).flatten(1).uniq
    end
    private_class_method :includes
  end
end
