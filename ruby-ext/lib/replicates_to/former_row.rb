# frozen_string_literal: true

module ReplicatesTo
  # What a row was before a statement of this transaction changed its keys or deleted it: its class, and the keys by which
  # others know it. From the database and under the row's lock: a record in memory may be stale, and would name a key or a
  # class of long ago.
  class FormerRow
    class << self
      # @param model [Class] as which the row was loaded
      # @param id [Object] its primary key
      # @param assigned [Array<String>] columns that the statement assigns
      # @yieldreturn [Integer] rows that the statement affected
      # @return [(FormerRow, Integer)] and the same
      def of_update(model, id, assigned, &statement)
        relatives = relatives(model)
        keys = keys(relatives)
        # A row that leaves a class may change its key, or go, as another one before anybody has published that it left.
        telling = [*model.primary_key, *keys, *(model.inheritance_column if keys.any?)]
        assigned.intersect?(telling) ? knowing(model, id, relatives, &statement) : [NONE, yield]
      end

      # @param model [Class] as which the row was loaded
      # @param id [Object] its primary key
      # @yieldreturn [Integer] rows that the statement affected
      # @return [(FormerRow, Integer)] and the same
      def of_delete(model, id, &statement)
        knowing(model, id, relatives(model), &statement)
      end

      private

      # A row that another transaction deletes and creates again is not found by who waits for its lock, and yet the next
      # statement finds it. What that one did is taken back then, and the row read again.
      def knowing(model, id, relatives)
        type = model.inheritance_column if relatives.many? && model.columns_hash.key?(model.inheritance_column)
        columns = [*type, *keys(relatives)]
        return [NONE, yield] if columns.empty?

        loop do
          former = read(model, id, columns)
          return [former, yield] if former
          return [NONE, 0] if tentatively(model) { yield }.zero?
        end
      end

      def tentatively(model)
        affected = 0
        model.transaction(requires_new: true) do
          affected = yield
          raise ActiveRecord::Rollback unless affected.zero?
        end
        affected
      end

      # Classes that the row may be of by now. One that declares nothing itself is published as its superclass is.
      def relatives(model)
        [model, *Registry.touching(model).select { |other| other.base_class == model.base_class }].uniq
      end

      def keys(relatives)
        relatives.flat_map { |model| model.replicates_to_keys.values.flat_map(&:names) }.uniq
      end

      # Not by the query cache, which would not know of other transactions.
      def read(model, id, columns)
        row = PrimaryKey.of(model).among(model.base_class.unscoped, [PrimaryKey.values(model, id)])
        rows = RailsPrivate.with_connection(model) do |connection|
          connection.uncached { Outbox.of(model.name, connection).lock_keys(row).pluck(*columns) }
        end
        new(columns.zip(columns.one? ? rows : rows.first).to_h) unless rows.empty?
      end
    end

    # @param values [Hash{String => Object}] of its columns
    def initialize(values)
      @values = values
    end

    # @param model [Class] as which the row was loaded
    # @return [Class] that it was of, if that is noted at all
    def class_of(model)
      type = @values[model.inheritance_column]
      (type && BulkWrites::Naming.noted(model.base_class).of(type)) || model
    end

    # @param model [Class]
    # @return [Hash{String => String}, nil] by destination, where the primary key does not tell them
    def keys(model)
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
