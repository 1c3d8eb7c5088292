# frozen_string_literal: true

module ReplicatesTo
  # What the declarations of a class come to for one state of its table's schema.
  class Fitting
    # @param model [Class]
    def initialize(model)
      @model = model
      @schema = model.columns_hash
      @mappings = {}
    end

    # @return [Boolean] whether the schema is still the same
    def current?
      @model.columns_hash.equal?(@schema)
    end

    # @param destination [Symbol]
    # @return [Mapping]
    # @raise [MappingError] when the declaration does not fit the table
    def mapping(destination)
      @mappings[destination] ||= Mapping.new(@model, @model.replicates_to_declarations.fetch(destination))
    end

    # Keys of the destinations that call rows by other columns than those of the primary key.
    #
    # @return [Hash{Symbol => Key}]
    # @raise [MappingError] when the table does not have the columns
    def keys
      @keys ||= @model.replicates_to_declarations.transform_values { |declaration| key(declaration) }.compact
    end

    private

    def key(declaration)
      return unless declaration.key

      names = declaration.key.map { |name| @model.attribute_aliases.fetch(name, name) }
      return if names == Array(@model.primary_key)

      missing = (names - @schema.keys).first
      return Key.new(@model, names) unless missing

      hint = Nearest.hint(missing, @schema.keys)
      raise MappingError, "#{declaration} takes key: #{missing}, which is not a column of #{@model.table_name}#{hint}"
    end
  end
end
