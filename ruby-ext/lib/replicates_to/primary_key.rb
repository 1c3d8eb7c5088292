# frozen_string_literal: true

require "json"
require "replicates_to/key"

module ReplicatesTo
  # A primary key in its three forms: as the model reads it (an array when it has several columns), as the JSON array of the
  # outbox, and as the key of a record.
  module PrimaryKey
    module_function

    # @param model [Class]
    # @return [Key]
    # @raise [MappingError] when the table has none
    def of(model)
      raise MappingError, missing(model) unless model.primary_key

      Key.new(model, Array(model.primary_key))
    end

    # @return [String] JSON array of its parts
    def dump(model, value)
      JSON.generate(of(model).parts(values(model, value)))
    end

    # @return [Object] as the model reads it, fit for a `where`
    def load(model, json)
      values = of(model).values(JSON.parse(json))
      several?(model) ? values : values.first
    end

    # @return [String] the key of the row's records
    # @raise [EncodeError] when it is empty, too long or holds control characters
    def key(json)
      Key.check(Key.join(JSON.parse(json)))
    end

    # @param value [Object] as the model reads it
    # @return [Array] value of each of its columns
    def values(model, value)
      several?(model) ? value : [value]
    end

    # @param row [Hash] values by the names of columns
    # @return [Object] as the model reads it
    def in_row(model, row)
      several?(model) ? model.primary_key.map { |name| row[name] } : row[model.primary_key]
    end

    # @return [Boolean] whether the model reads it as an array
    def several?(model)
      model.primary_key.is_a?(Array)
    end

    # @return [String] why a model cannot be replicated
    def missing(model)
      "#{model.name}: #{model.table_name} has no primary key, which replicates_to needs"
    end
  end
end
