# frozen_string_literal: true

module ReplicatesTo
  # Writes that name no rows. The statement itself says which rows it changed, while it holds their locks, and each gets
  # its outbox row then and there: picking the rows first would miss some.
  module BulkWrites
    # How the rows that one statement changes are noted: under which operation, and which classes' rows they are; fan_outs are
    # the classes whose rows have others republished, and followed is what, by class. leaving says that rows leave a class, or
    # go, so that their keys are noted. returning says of an insert whether it returns columns to its caller; nil is a
    # statement that returns how many rows.
    Cover = Struct.new(:model, :operation, :classes, :fan_outs, :followed, :leaving, :returning, keyword_init: true) do
      # @return [Array<(Naming, String)>] every row is noted once for each of these, if it has a class there
      def notes
        classes.map { |naming| [naming, operation] } + fan_outs.map { |naming| [naming, FanOut::OPERATION] }
      end

      # @return [Key] by which the rows are found again
      def primary_key
        @primary_key ||= PrimaryKey.of(model)
      end

      # @param operation [String] of a note
      # @return [Boolean] whether it is to tell the keys of its row
      def keyed?(operation)
        leaving && operation != FanOut::OPERATION
      end

      # @return [Array<String>] columns that say which rows they were, of which class, and which keys a row had that left
      def columns
        @columns ||= [*primary_key.names, *notes.filter_map { |naming, _| naming.column }, *keys.flat_map(&:names)].uniq
      end

      private

      def keys
        leaving ? classes.flat_map(&:models).flat_map { |one| one.replicates_to_keys.values } : []
      end
    end

    # The class of a row: that of its single-table-inheritance column, if it has one.
    class Naming
      # @return [String, nil] the column
      attr_reader :column
      # @return [Hash{String => Class}] the class by the column's value
      attr_reader :classes
      # @return [Class, nil] for any other value; nil when such rows are not meant
      attr_reader :default

      # @param base [Class] the base class of a table
      # @return [Naming] of its replicated classes
      def self.replicated(base)
        new(base) { |model| model.respond_to?(:replicates?) && model.replicates? }
      end

      # @param base [Class] the base class of a table
      # @return [Naming] of those that are replicated or have others republished
      def self.noted(base)
        new(base) { |model| model.respond_to?(:noted?) && model.noted? }
      end

      # @param base [Class] the base class of a table
      # @yieldparam model [Class]
      # @yieldreturn [Boolean] whether its rows are meant
      def initialize(base, &meant)
        @column = base.inheritance_column if base.columns_hash.key?(base.inheritance_column)
        named = [base, *(@column ? base.descendants : [])].select(&meant)
        @default = named.delete(base)
        @classes = named.index_by(&:sti_name)
      end

      # @return [Boolean] whether no row is meant
      def empty?
        models.empty?
      end

      # @param value [String, nil] of the column
      # @return [Class, nil]
      def of(value)
        classes.fetch(value, default)
      end

      # @return [Array<Class>] that a row may be of
      def models
        [*default, *classes.values]
      end
    end

    # Every row is a row of this class, whatever its column says.
    Fixed = Struct.new(:default) do
      def column; end

      def classes
        {}
      end

      def of(_)
        default
      end

      def models
        [default]
      end
    end

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
