# frozen_string_literal: true

require "digest"
require "json"
require "replicates_to/testing/json_text"

module ReplicatesTo
  module Testing
    # A record as its consumer sees it. `attributes` holds what a JSON parser makes of the body: a decimal is "10.50", a
    # time "2026-11-22T06:46:00.123456Z", a date "2026-11-22", bytes are base64.
    #
    #   ReplicatesTo::Testing::Record.new(destination: "billing", source: "monolith", model: "Vehicle", key: "42",
    #                                     attributes: {registration: "KA-01"})
    class Record
      # @return [String] who it is for, and the application that published it
      attr_reader :destination, :source
      # @return [String] public model name; key
      attr_reader :model, :key
      # @return [String] create, update, delete or snapshot
      attr_reader :operation
      # @return [Integer] the higher version of a key wins
      attr_reader :version
      # @return [Time]
      attr_reader :committed_at
      # @return [Hash{String => Object}] by public name; empty for a delete
      attr_reader :attributes
      # @return [Array<String>] attributes that logs mask
      attr_reader :sensitive
      # @return [String, nil] the application whose record made the change
      attr_reader :origin
      # @return [String] 32 hexadecimal digits that tell one state of the attributes from another
      attr_reader :content_hash

      # @param attributes [Hash] by public name; Ruby values are given the form that they have in a record
      # @param content_hash [String, nil] nil: of the attributes' JSON
      # @raise [ArgumentError] when a value has no form in a record
      def initialize(destination:, source:, model:, key:, operation: "update", version: 1, committed_at: Time.now,
                     attributes: {}, sensitive: [], origin: nil, content_hash: nil)
        @destination, @source, @model, @key, @operation = [destination, source, model, key, operation].map(&:to_s)
        @version, @committed_at, @sensitive, @origin = version, committed_at, sensitive.map(&:to_s), origin
        @content = JsonText.object(attributes.transform_keys(&:to_s).sort_by { |name, _| name.b })
        @attributes = JSON.parse(@content, max_nesting: false).freeze
        @content_hash = content_hash || Digest::SHA256.hexdigest(@content)[0, 32]
        freeze
      end

      # @return [String] delivery id
      def id
        place = [destination, source, model, key].join("\n")
        "dlv_#{Digest::SHA256.hexdigest(place)[0, 32]}_#{version}"
      end

      # @return [Boolean]
      def delete?
        operation == "delete"
      end

      # @return [String] the body that the relay sends
      def json
        JsonText.object(
          id: id, source: source, model: model, key: key, operation: operation, version: version,
          committed_at: JsonText.timestamp(committed_at), attributes: delete? ? nil : JsonText::Verbatim.new(@content)
        )
      end

      # @param model [Class, String] a model, or a public name
      # @return [Boolean] whether this is a record of the model
      def of?(model)
        return self.model == model.to_s unless model.respond_to?(:replicates_to_declarations)

        model.replicates_to_declarations[destination.to_sym]&.public_name(model) == self.model
      end

      # @return [Boolean]
      def ==(other)
        other.is_a?(Record) && other.destination == destination && other.json == json
      end
      alias eql? ==

      # @return [Integer]
      def hash
        json.hash
      end

      # @return [String] where it goes, without values
      def to_s
        "#{model} #{key} -> #{destination}, #{operation}"
      end

      # @return [String] as any log may show it
      def inspect
        shown = attributes.to_h { |name, value| [name, sensitive.include?(name) ? "***" : value] }
        "#<#{self.class} #{self}, version #{version} #{shown}>"
      end
    end
  end
end
