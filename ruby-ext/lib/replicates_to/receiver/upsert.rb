# frozen_string_literal: true

require "replicates_to/nearest"

module ReplicatesTo
  module Receiver
    # The handler that `r.upsert` declares: finds or builds the row that holds the record's key, assigns what the
    # table knows, saves; a delete destroys it. Validations and callbacks of the model run as ever.
    class Upsert
      KEYWORDS = %i[into key rename only except].freeze

      # @param model [String]
      # @param options [Hash{Symbol => Object}] as given to {Configuration#upsert}
      # @raise [ConfigurationError]
      def self.declare(model, options)
        unknown = options.keys.find { |keyword| !KEYWORDS.include?(keyword) }
        if unknown
          hint = Nearest.hint(unknown, KEYWORDS, suffix: ":")
          raise ConfigurationError, "receiver: upsert #{model.inspect} does not know #{unknown}:#{hint}"
        end
        missing = %i[into key] - options.keys
        raise ConfigurationError, "receiver: upsert #{model.inspect} needs #{missing.first}:" unless missing.empty?

        new(model: model, **options)
      end

      def initialize(model:, into:, key:, rename: {}, only: nil, except: nil)
        @into = into.to_s
        @key = key.to_s
        @rename = rename.to_h { |attribute, column| [attribute.to_s, column.to_s] }
        @only = only && Array(only).map(&:to_s)
        @except = Array(except).map(&:to_s)
        check_selection(model, both: only && except)
        freeze
      end

      # @return [Class] looked up each time, because Rails reloads classes in development
      def database
        @into.constantize
      end

      # @param record [Record]
      # @return [Array<String>] attributes that the table does not have
      # @raise [ActiveRecord::ActiveRecordError] whatever the model says to it
      def call(record)
        row = Row.find_or_build(database, column: @key, key: record.key)
        return destroy(row) if record.delete?

        unknown = row.assign(selected(record.attributes), renamed: @rename.values)
        row.save!
        unknown
      end

      private

      def check_selection(model, both:)
        raise ConfigurationError, "receiver: upsert #{model.inspect} takes only: or except:, not both" if both

        left_out = @rename.keys.find { |name| !selected?(name) }
        return unless left_out

        option = @only ? "only:" : "except:"
        raise ConfigurationError, "receiver: upsert #{model.inspect} renames #{left_out}, which #{option} leaves out"
      end

      def selected(attributes)
        attributes.select { |name, _| selected?(name) }.transform_keys { |name| @rename.fetch(name, name) }
      end

      def selected?(name)
        @only ? @only.include?(name) : !@except.include?(name)
      end

      def destroy(row)
        row.destroy!
        []
      end
    end
  end
end
