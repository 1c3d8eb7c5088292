# frozen_string_literal: true

module ReplicatesTo
  # Publishing rows that nobody changed. Their locks are taken first: a version drawn for a row that another transaction is
  # about to commit would label the old state as the newer one.
  module OnDemand
    BATCH = 1_000

    # Instance methods of a replicated model. A module without constants: those of this one are not for models.
    module Row
      # Publishes the row as it is in the database.
      #
      # @param to [Symbol, Array<Symbol>, nil] destinations; nil: all
      # @return [true]
      # @raise [NotPersisted] when there is no such row
      # @raise [DeclarationError] for a destination that the model does not replicate to
      def replicate!(to: nil)
        OnDemand.replicate_row(self, to)
        true
      end
    end

    module_function

    # @param record [ActiveRecord::Base]
    # @return [void]
    def replicate_row(record, to)
      refuse_disabled
      model = record.class
      destinations = destinations(model, to)
      found = record.persisted? ? note_locked(model, [record.id], destinations) : 0
      return unless found.zero?

      raise NotPersisted, "#{model.name} #{record.id.inspect}: there is no row to replicate"
    end

    # @param relation [ActiveRecord::Relation]
    # @return [Integer] rows noted
    def replicate_all(relation, to)
      refuse_disabled
      destinations = destinations(relation.klass, to)
      count = 0
      relation.in_batches(of: BATCH) do |batch|
        count += note_locked(relation.klass, batch.ids, destinations)
      end
      count
    end

    # One transaction, which draws the versions while it holds the locks. In the order of the keys, so that two of these
    # cannot wait for each other.
    def note_locked(model, ids, destinations)
      return 0 if ids.empty?

      base = model.base_class
      key = PrimaryKey.of(base)
      naming = BulkWrites::Naming.replicated(base)
      columns = [*key.names, naming.column].compact
      RailsPrivate.with_connection(model) do |connection|
        RailsPrivate.in_transaction(connection) do
          rows = key.among(base.unscoped, ids.map { |id| PrimaryKey.values(base, id) }).order(*key.names.map(&:to_sym))
          Outbox.of(model.name, connection).lock_rows(rows).pluck(*columns).count do |values|
            values = columns.zip(columns.one? ? [values] : values).to_h
            Noting.requested(base, naming.of(values[naming.column]), PrimaryKey.in_row(base, values), destinations)
          end
        end
      end
    end
    private_class_method :note_locked

    # Asked for by name: to do nothing would be no answer.
    def refuse_disabled
      raise ConfigurationError, "replicate: nothing is noted while enabled is false" unless ReplicatesTo.config["enabled"]
    end
    private_class_method :refuse_disabled

    def destinations(model, to)
      return if to.nil?

      declared = model.replicates_to_declarations.keys
      Array(to).map do |name|
        next name.to_s if declared.include?(name.to_sym)

        raise DeclarationError, "#{model.name}: does not replicate to #{name}#{Nearest.hint(name, declared)}"
      end
    end
    private_class_method :destinations
  end
end
