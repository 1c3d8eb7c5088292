# frozen_string_literal: true

module ReplicatesTo
  # What a write of one row leaves behind: a note on the current transaction.
  module Noting
    THREAD_KEY = :replicates_to_disabled

    module_function

    # @return [Boolean] whether writes of this thread are noted
    def on?
      !off? && ReplicatesTo.config["enabled"]
    end

    # @return [Boolean] whether this thread is inside `disabled { }`
    def off?
      Thread.current.thread_variable_get(THREAD_KEY).to_i.positive?
    end

    # @param model [Class]
    # @return [Boolean] whether writes of its rows by this thread are to be noted here
    def of?(model)
      return false unless on? && model.noted?
      return true unless Triggers.on?

      Triggers.verify(model)
      false
    end

    # @yield writes that are not noted; nests
    def without
      depth = Thread.current.thread_variable_get(THREAD_KEY).to_i
      Thread.current.thread_variable_set(THREAD_KEY, depth + 1)
      yield
    ensure
      Thread.current.thread_variable_set(THREAD_KEY, depth)
    end

    # @return [void]
    def inserted(model, primary_key)
      note(model, primary_key, "create")
    end

    # A row whose primary key changed is two rows to a consumer: the new one, and one that is gone. A row whose
    # single-table-inheritance class changed may belong to other destinations now, so every class that declares its own
    # is noted.
    #
    # @param model [Class] as which the row was loaded
    # @param id [Object] its primary key
    # @param renamed [Object] its primary key after the statement
    # @param assigned [Array<String>] columns that the statement assigns
    # @yieldreturn [Integer] rows that the statement affected
    # @return [Integer] the same
    def updating(model, id, renamed, assigned)
      former, affected = FormerRow.of_update(model, id, assigned) { yield }
      return affected unless affected.positive?

      left = assigned.include?(model.inheritance_column)
      change = left || renamed != id ? "move" : "update"
      updated(left ? model : former.class_of(model), id, renamed, former: former, change: change, assigned: assigned)
      siblings(model).each { |sibling| updated(sibling, id, renamed, former: former, change: change) } if left
      affected
    end

    # @param model [Class] as which the row was loaded
    # @param id [Object] its primary key
    # @yieldreturn [Integer] rows that the statement affected
    # @return [Integer] the same
    def deleting(model, id)
      former, affected = FormerRow.of_delete(model, id) { yield }
      note(former.class_of(model), id, "delete", former: former) if affected.positive?
      affected
    end

    # A row that nobody wrote, but whose lock is held.
    #
    # @param base [Class] base class of its table
    # @param model [Class, nil] the row's own class, if that is replicated
    # @param destinations [Array<String>, nil] nil: all
    # @return [Boolean] whether it was noted
    def requested(base, model, primary_key, destinations)
      return false unless model

      add(base, Note.new(model: model.name, primary_key: PrimaryKey.dump(base, primary_key), operation: "update",
                         origin: Origin.current, destinations: destinations))
      true
    end

    # @api private
    # @return [void]
    def add(model, note)
      RailsPrivate.notes_of(model).add(model, note)
    end

    def updated(model, id, renamed, former:, change:, assigned: [])
      note(model, id, "update", former: former, change: change, assigned: assigned)
      note(model, renamed, "create", change: change) unless renamed == id
    end
    private_class_method :updated

    # @param change [String] the operation, as the row's dependants see it
    # @param assigned [Array<String>] columns of an update
    def note(model, id, operation, change: operation, former: FormerRow::NONE, assigned: [])
      if model.replicates?
        add(model, Note.new(model: model.name, primary_key: PrimaryKey.dump(model, id), operation: operation, keys: former.keys(model),
                            origin: Origin.current))
      end
      FanOut.changed(model, id, change, assigned)
    end
    private_class_method :note

    def siblings(model)
      [model.base_class, *model.base_class.descendants].select do |sibling|
        sibling != model && sibling.respond_to?(:noted?) && sibling.noted?
      end
    end
    private_class_method :siblings
  end
end
