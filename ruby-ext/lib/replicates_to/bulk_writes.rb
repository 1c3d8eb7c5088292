# frozen_string_literal: true

require "replicates_to/bulk_writes/cover"
require "replicates_to/bulk_writes/naming"

module ReplicatesTo
  # Writes that name no rows. The statement itself says which rows it changed, while it holds their locks, and each gets
  # its outbox row then and there: picking the rows first would miss some.
  module BulkWrites
    module_function

    # @param model [Class] whose table is written
    # @param updates [Hash, Array, String] as `update_all` takes them
    # @return [Cover, nil] nil when nothing is to be noted
    # @raise [BulkWriteRefused] when the rows would not be found again
    def update(model, updates)
      return unless (covered = covered(model))

      refuse_renaming(covered, "update_all") { |column| assigns?(covered, updates, column) }
      moves = assigns?(covered, updates, covered.inheritance_column) && covered.columns_hash.key?(covered.inheritance_column)
      return every_class(covered, model) if moves

      cover(covered, model, "update") { |column| column.nil? || assigns?(covered, updates, column) }
    end

    # @param model [Class] whose table is written
    # @return [Cover, nil]
    def delete(model)
      covered(model)&.then { |covered| cover(covered, model, "delete") }
    end

    # @param model [Class] whose table is written
    # @param update [Array<String>, String] columns that are assigned to rows that exist, or SQL that does it
    # @param returning [Boolean] whether the statement already returns columns
    # @return [Cover, nil]
    def insert(model, update:, returning:)
      return unless (covered = covered(model))

      refuse_renaming(covered, "upsert_all") do |column|
        update.is_a?(String) ? assigns?(covered, update, column) : update.include?(column)
      end
      # Created or updated, nobody knows; for a row that a condition keeps back, an update says more.
      cover(covered, model, update.empty? ? "create" : "update", returning: returning)
    end

    # @return [Class, nil] a replicated class of the table, when its writes are to be noted here
    def covered(model)
      replicated = Noting.on? && Registry.touched_by(model)
      return unless replicated
      return Triggers.verify(replicated) if Triggers.on?

      raise MappingError, PrimaryKey.missing(replicated) unless replicated.primary_key

      replicated
    end
    private_class_method :covered

    # A statement tells what its rows are called afterwards, not what others call them still.
    #
    # @yieldparam column [String] of the primary key, or of a key
    # @yieldreturn [Boolean] whether it is assigned
    # @raise [BulkWriteRefused]
    def refuse_renaming(model, write)
      keys = Registry.touching(model).flat_map { |touched| touched.replicates_to_keys.values.flat_map(&:names) }
      column = [*model.primary_key, *keys].find { |name| yield name }
      return unless column

      raise BulkWriteRefused, "#{model.name}: #{write} of #{column} renames rows, and replicates_to cannot note what they were called; " \
                              "save them one by one, or write inside ReplicatesTo.disabled { } and publish with " \
                              "rake replicates_to:backfill[#{model.name}]"
    end
    private_class_method :refuse_renaming

    # @param model [Class] whose table is written
    # @return [Array<Naming>] which replicated classes' rows the rows of the table are
    def classes(model)
      bases(model).map { |base| Naming.replicated(base) }.reject(&:empty?)
    end

    # @param model [Class] whose table is written
    # @param followed [Hash{Class => Array<Republication>}]
    # @return [Array<Naming>] which classes' rows they are, of those that have others republished
    def fan_outs(model, followed)
      bases(model).map { |base| Naming.new(base) { |one| followed[one].any? } }.reject(&:empty?)
    end

    # @param change [String] create, update, delete or move
    # @yield as {FanOut.republications}
    # @return [Hash{Class => Array<Republication>}] what a class's rows have republished
    def followed(change, &concerned)
      Hash.new { |known, model| known[model] = FanOut.republications(model, change, &concerned) }
    end

    def bases(model)
      Registry.touching(model).map(&:base_class).uniq
    end
    private_class_method :bases

    def cover(covered, model, operation, returning: nil, &concerned)
      followed = followed(operation, &concerned)
      Cover.new(model: covered, operation: operation, classes: classes(model), fan_outs: fan_outs(model, followed), followed: followed,
                leaving: operation == "delete", returning: returning)
    end
    private_class_method :cover

    # A row that changes its class may belong to other destinations now, so it is noted for every class.
    def every_class(covered, model)
      touched, followed = Registry.touching(model), followed("move")
      Cover.new(model: covered, operation: "update", followed: followed,
                classes: touched.select(&:replicates?).map { |one| Fixed.new(one) },
                fan_outs: touched.select { |one| followed[one].any? }.map { |one| Fixed.new(one) },
                leaving: true)
    end
    private_class_method :every_class

    # SQL is only looked at, not understood: what looks like an assignment is taken for one.
    def assigns?(model, updates, column)
      return updates.keys.any? { |name| model.attribute_aliases.fetch(name.to_s, name.to_s) == column } if updates.is_a?(Hash)

      sql = Array(updates).first.to_s
      name = /(?<![\w."])"?#{Regexp.escape(column)}"?/i
      sql.match?(/#{name}\s*=/) || sql.match?(/\([^()]*#{name}[^()]*\)\s*=/)
    end
    private_class_method :assigns?
  end
end
