# frozen_string_literal: true

require "time"

module ReplicatesTo
  module Receiver
    # One record as the relay sends it, checked: what a handler of {Configuration#on} is given.
    class Record
      # The JSON is no record: the message says which member is wrong.
      class Malformed < Error; end

      MEMBERS = %w[id source model key operation version committed_at attributes].freeze
      OPERATIONS = %w[create update delete snapshot].freeze
      SOURCE = /\A[a-z][a-z0-9_-]{0,62}\z/
      MODEL = /\A(?=.{1,100}\z)[A-Za-z][A-Za-z0-9_]*(::[A-Za-z][A-Za-z0-9_]*)*\z/
      KEY_BYTES = (1..512)
      # Versions stay exact in every JSON parser.
      VERSIONS = (1...(1 << 53))

      # @return [String] delivery id, stable over retries
      attr_reader :id
      # @return [String] the application that published the record
      attr_reader :source
      # @return [String] public model name there
      attr_reader :model
      # @return [String]
      attr_reader :key
      # @return [String] `create`, `update`, `delete` or `snapshot`; treat all but the delete alike
      attr_reader :operation
      # @return [Integer] the higher version of a key wins
      attr_reader :version
      # @return [Time]
      attr_reader :committed_at
      # @return [Hash{String => Object}] the full mapped state of the row; empty for a delete
      attr_reader :attributes

      # @param json [Object] parsed JSON
      # @raise [Malformed]
      def initialize(json)
        raise Malformed, "a record is a JSON object, not #{json.class}" unless json.is_a?(Hash)

        missing = MEMBERS - json.keys
        raise Malformed, "a record has #{missing.join(', ')}" unless missing.empty?

        @id, @source, @model, @key, @operation, @version, committed_at, @attributes = json.values_at(*MEMBERS)
        check_identity
        check_state
        @committed_at = time(committed_at)
        @attributes = (@attributes || {}).freeze
        freeze
      end

      # @return [Boolean]
      def delete?
        operation == "delete"
      end

      private

      def check_identity
        raise Malformed, "id is not a text" unless id.is_a?(String)
        raise Malformed, "source #{source.inspect} is not a source" unless SOURCE.match?(text(source))
        raise Malformed, "model #{model.inspect} is not a model" unless MODEL.match?(text(model))

        fits = KEY_BYTES.cover?(text(key).bytesize) && !key.match?(/[[:cntrl:]]/)
        raise Malformed, "key #{key.inspect} is not 1-512 bytes without control characters" unless fits
      end

      def check_state
        unless OPERATIONS.include?(operation)
          raise Malformed, "operation #{operation.inspect} is not one of #{OPERATIONS.join(', ')}"
        end
        unless version.is_a?(Integer) && VERSIONS.cover?(version)
          raise Malformed, "version #{version.inspect} is not in 1..2**53-1"
        end

        expected = delete? ? NilClass : Hash
        raise Malformed, "attributes of a #{operation} are not #{attributes.class}" unless attributes.is_a?(expected)
      end

      def text(value)
        value.is_a?(String) ? value : ""
      end

      def time(value)
        Time.iso8601(value)
      rescue ArgumentError, TypeError
        raise Malformed, "committed_at #{value.inspect} is not a time"
      end
    end
  end
end
