# frozen_string_literal: true

module ReplicatesTo
  # The keys by which others know a row, read before a statement of this transaction changes them or deletes the row. From
  # the database and under the row's lock: a record in memory may be stale, and would name a key of long ago.
  class FormerKeys
    class << self
      # @param classes [Array<Class>] that the row is noted for
      # @param id [Object] the row's primary key
      # @param assigned [Array<String>] columns that the statement assigns
      # @return [FormerKeys]
      def before_update(classes, id, assigned)
        columns = columns(classes)
        return NONE if columns.empty? || !assigned.intersect?(columns + Array(classes.first.primary_key))

        read(classes.first, id, columns)
      end

      # @param model [Class]
      # @param id [Object] the row's primary key
      # @return [FormerKeys]
      def before_delete(model, id)
        columns = columns([model])
        columns.empty? ? NONE : read(model, id, columns)
      end

      private

      def columns(classes)
        classes.flat_map { |model| model.replicates_to_keys.values.flat_map(&:names) }.uniq
      end

      # Not by the query cache, which would not know of other transactions.
      def read(model, id, columns)
        base = model.base_class
        row = PrimaryKey.of(base).among(base.unscoped, [PrimaryKey.values(base, id)])
        values = RailsPrivate.with_connection(model) do |connection|
          connection.uncached { Outbox.of(model.name, connection).lock_keys(row).pluck(*columns).first }
        end
        values.nil? ? NONE : new(columns.zip(columns.one? ? [values] : values).to_h)
      end
    end

    # @param values [Hash{String => Object}] of the row's columns
    def initialize(values)
      @values = values
    end

    # @param model [Class]
    # @return [Hash{String => String}, nil] by destination, where the primary key does not tell them
    def of(model)
      keys = model.replicates_to_keys.select { |_, key| key.names.all? { |name| @values.key?(name) } }
      keys.to_h { |destination, key| [destination.to_s, text(key)] } if keys.any?
    end

    private

    # What has no text was never a record's key: like the empty text.
    def text(key)
      key.text(@values.values_at(*key.names))
    rescue EncodeError
      ""
    end

    NONE = new({}.freeze)
  end
end
