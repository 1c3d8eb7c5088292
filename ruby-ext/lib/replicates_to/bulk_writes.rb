# frozen_string_literal: true

module ReplicatesTo
  # Writes that name no rows. The statement itself says which rows it changed, while it holds their locks, and each gets
  # its outbox row then and there: picking the rows first would miss some.
  module BulkWrites
    # How the rows that one statement changes are noted: under which operation, and which classes' rows they are.
    # returning says of an insert whether it returns columns to its caller; nil is a statement that returns how many rows.
    Cover = Struct.new(:model, :operation, :classes, :returning)

    # The class of a row: that of its single-table-inheritance column, if it has one.
    class Naming
      # @return [String, nil] the column
      attr_reader :column
      # @return [Hash{String => String}] name of the class by the column's value
      attr_reader :names
      # @return [String, nil] for any other value; nil when such rows are not replicated
      attr_reader :default

      # @param base [Class] the base class of a table
      def initialize(base)
        @column = base.inheritance_column if base.columns_hash.key?(base.inheritance_column)
        replicated = [base, *(@column ? base.descendants : [])].select { |model| model.respond_to?(:replicates?) && model.replicates? }
        @default = base.name if replicated.delete(base)
        @names = replicated.to_h { |model| [model.sti_name, model.name] }
      end

      # @param value [String, nil] of the column
      # @return [String, nil]
      def of(value)
        names.fetch(value, default)
      end
    end

    # Every row is a row of this class, whatever its column says.
    Fixed = Struct.new(:default) do
      def column; end

      def names
        {}
      end

      def of(_)
        default
      end
    end

    module_function

    # @param model [Class] whose table is written
    # @param updates [Hash, Array, String] as `update_all` takes them
    # @return [Cover, nil] nil when nothing is to be noted
    # @raise [BulkWriteRefused] when the rows would not be found again
    def update(model, updates)
      return unless (covered = covered(model))

      refuse(covered, "update_all of #{covered.primary_key}") if assigns?(covered, updates, covered.primary_key)
      moves = assigns?(covered, updates, covered.inheritance_column) && Naming.new(covered.base_class).column
      Cover.new(covered, "update", moves ? every_class(model) : classes(model))
    end

    # @param model [Class] whose table is written
    # @return [Cover, nil]
    def delete(model)
      covered(model)&.then { |covered| Cover.new(covered, "delete", classes(model)) }
    end

    # @param model [Class] whose table is written
    # @param update [Boolean, String] whether rows that exist are updated; the SQL that does it, if the caller wrote some
    # @param returning [Boolean] whether the statement already returns columns
    # @return [Cover, nil]
    def insert(model, update:, returning:)
      return unless (covered = covered(model))

      refuse(covered, "upsert_all of #{covered.primary_key}") if update.is_a?(String) && assigns?(covered, update, covered.primary_key)
      # Created or updated, nobody knows; for a row that a condition keeps back, an update says more.
      Cover.new(covered, update ? "update" : "create", classes(model), returning)
    end

    # @return [Class, nil] a replicated class of the table, when its writes are to be noted here
    def covered(model)
      replicated = Noting.on? && Registry.touched_by(model)
      return unless replicated
      return Triggers.verify(replicated) if Triggers.on?

      raise MappingError, PrimaryKey.missing(replicated) unless replicated.primary_key.is_a?(String)

      replicated
    end
    private_class_method :covered

    # @raise [BulkWriteRefused]
    def refuse(model, write)
      raise BulkWriteRefused, "#{model.name}: #{write} changes rows that replicates_to cannot note; " \
                              "write inside ReplicatesTo.disabled { } and publish with rake replicates_to:backfill[#{model.name}]"
    end
    private_class_method :refuse

    # @param model [Class] whose table is written
    # @return [Array<Naming>] which classes' rows the rows of the table are
    def classes(model)
      Registry.touching(model).map(&:base_class).uniq.map { |base| Naming.new(base) }
    end

    # A row that changes its class may belong to other destinations now, so it is noted for every class.
    def every_class(model)
      Registry.touching(model).map { |touched| Fixed.new(touched.name) }
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
