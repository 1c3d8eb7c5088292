# frozen_string_literal: true

require "digest"
require "replicates_to/column_types"
require "replicates_to/mapping/fields"
require "replicates_to/mapping/key_columns"

module ReplicatesTo
  # One declaration fitted to its table: which values of a row go out, under which names and types.
  class Mapping
    # @return [Class]
    attr_reader :model
    # @return [Symbol]
    attr_reader :destination
    # @return [String] public model name
    attr_reader :public_name
    # @return [Key] what names a row at the destination
    attr_reader :key
    # @return [Array<Field>] in encoding order: by the bytes of their public names
    attr_reader :fields

    # @param model [Class] the declaring class or one that inherits the declaration
    # @param declaration [Declaration]
    # @raise [MappingError] when the declaration does not fit the table
    def initialize(model, declaration)
      @model = model
      @declaration = declaration
      @destination = declaration.destination
      @public_name = declaration.public_name(model)
      @fields = Fields.new(model, declaration).to_a.sort_by { |field| field.name.b }
      @key = KeyColumns.new(model, declaration).key
    end

    # @return [Array<String>] public names
    def names
      fields.map(&:name)
    end

    # @return [Hash{String => Symbol, Array}] wire type by public name; computes are `:dynamic`
    def types
      fields.to_h { |field| [field.name, field.kind] }
    end

    # Tells one state of a mapping from another: the first 8 bytes of SHA-256 over names, types and options. A compute
    # counts by its name only: what its code does cannot be compared.
    #
    # @return [Integer] below 2**64
    def fingerprint
      @fingerprint ||= Digest::SHA256.digest(fields.map(&:signature).join("\n")).unpack1("Q>")
    end

    # @return [String] the fingerprint as people see it
    def fingerprint_hex
      format("%016x", fingerprint)
    end

    # @return [String] the Kafka topic of this model and destination
    def topic
      prefix, source = ReplicatesTo.config["kafka.topic_prefix"], ReplicatesTo.config["source"]
      @topic ||= "#{prefix}#{source}.#{destination}.#{public_name.gsub('::', '-')}"
    end

    # @return [Native::Schema] what the extension needs to encode a record
    def schema
      @schema ||= Native::Schema.new(ReplicatesTo.config["source"], public_name, fingerprint, fields.map(&:to_native))
    end

    # @return [Boolean] whether the primary key does not tell it
    def own_key?
      model.replicates_to_keys.key?(destination)
    end

    # @param record [ActiveRecord::Base] freshly loaded, of any class of the table
    # @return [String] the key of its records
    # @raise [EncodeError] when no record can have that key
    def key_of(record)
      key.of(record)
    end

    # @param record [ActiveRecord::Base] freshly loaded
    # @return [Array] values in the order of {#names}
    def values(record)
      fields.map { |field| field.value(record) }
    end

    # @return [Boolean] whether `if:` and `unless:` let the row through
    def publishes?(record)
      @declaration.publishes?(record)
    end
  end
end
