# frozen_string_literal: true

module ReplicatesTo
  module Receiver
    # What the initializer declares: whose signatures are good, and what is done with the records of each model.
    class Configuration
      # @return [Array<String>] `whsec_…`; several while one is being replaced
      attr_accessor :secrets
      # @return [Boolean] takes unsigned requests when there are no secrets: laptops and tests only
      attr_accessor :allow_unsigned

      def initialize
        @secrets = []
        @allow_unsigned = false
        @handlers = {}
      end

      # Writes the records of a model into a table of this application.
      # @param model [String] public model name, as the source sends it
      # @param options [Hash] `into:` class name and `key:` column that holds the record's key (both needed);
      #   `rename: {attribute => column}`; `only:` or `except:` attributes as the source names them
      # @raise [ConfigurationError]
      def upsert(model, **options)
        declare(model, Upsert.declare(model, options))
      end

      # Hands the records of a model to a block, inside the transaction which the version guard opened.
      # @param model [String]
      # @yieldparam record [Record]
      # @raise [ConfigurationError]
      def on(model, &block)
        raise ConfigurationError, "receiver: on #{model.inspect} needs a block" unless block

        declare(model, BlockHandler.new(block))
      end

      # @param model [String]
      # @return [Upsert, BlockHandler, nil]
      def handler(model)
        @handlers[model]
      end

      # @return [Signature, nil] nil: requests are taken unsigned
      def signature
        Signature.new(secrets) unless secrets.empty?
      end

      # @raise [ConfigurationError]
      def check!
        @secrets = Array(secrets)
        return signature unless secrets.empty?
        return if allow_unsigned

        raise ConfigurationError, "receiver: no secrets; set r.secrets, or r.allow_unsigned = true on a laptop"
      end

      private

      def declare(model, handler)
        unless model.is_a?(String) && Record::MODEL.match?(model)
          raise ConfigurationError, "receiver: #{model.inspect} is not a model name"
        end
        raise ConfigurationError, "receiver: #{model} is declared twice" if @handlers.key?(model)

        @handlers[model] = handler
        nil
      end
    end
  end
end
