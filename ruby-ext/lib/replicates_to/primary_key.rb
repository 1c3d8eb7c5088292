# frozen_string_literal: true

require "json"

module ReplicatesTo
  # A primary key in its three forms: as the model reads it, as the JSON array of the outbox, and as the key of a record.
  module PrimaryKey
    BYTES_MAX = 512

    # Types whose text is the same in every process and every language.
    TYPES = %i[integer string text uuid enum citext binary decimal date].freeze

    module_function

    # @return [String] JSON array of one element
    def dump(model, value)
      JSON.generate([portable(model, value)])
    end

    # @return [Object] as the model reads it, fit for a `where`
    def load(model, json)
      value = JSON.parse(json).first
      type = model.type_for_attribute(model.primary_key)
      type.type == :binary ? [value].pack("H*") : type.cast(value)
    end

    # @return [String] the key of the row's records
    # @raise [EncodeError] when it is empty, too long or holds control characters
    def key(json)
      key = JSON.parse(json).first.to_s
      fault = fault_of(key)
      raise EncodeError, "key #{key.inspect} #{fault}" if fault

      key
    end

    # @return [Object] the form that compares equal to the column's value when loaded again
    def portable(model, value)
      case value
      when Integer, nil then value
      when BigDecimal then value.to_s("F")
      when Date then value.iso8601
      else model.type_for_attribute(model.primary_key).type == :binary ? value.to_s.unpack1("H*") : value.to_s
      end
    end

    # @return [String] why a model without a primary key of one column cannot be replicated
    def missing(model)
      return "#{model.name}: a primary key of several columns cannot be a key yet" if model.primary_key

      "#{model.name}: #{model.table_name} has no primary key, which replicates_to needs"
    end

    def fault_of(key)
      return "is empty" if key.empty?
      return "is longer than #{BYTES_MAX} bytes" if key.bytesize > BYTES_MAX

      "has a control character" if key.match?(/[[:cntrl:]]/)
    end
    private_class_method :fault_of
  end
end
