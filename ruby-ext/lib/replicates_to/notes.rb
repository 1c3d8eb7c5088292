# frozen_string_literal: true

module ReplicatesTo
  # The rows that statements of one transaction (or savepoint) changed, one note a row. They hang on the transaction, move
  # to its parent when a savepoint is released, and vanish when it is rolled back.
  #
  # Statements that note what they change themselves leave the ids of their outbox rows here; where triggers do, nobody knows
  # more than that there are some.
  class Notes
    def initialize
      @notes = {}
      @written = []
    end

    # @return [Array<Integer>] outbox rows that are written already
    attr_reader :written

    # @return [Integer, nil] outbox rows of unknown ids were written, all above this one
    attr_reader :above

    # @return [String, nil] name of the connection that the models live on
    attr_reader :database

    # @param model [Class] the row's class
    # @param note [Note]
    # @return [void]
    def add(model, note)
      @database ||= model.connection_specification_name
      merge_note(note)
    end

    # @param model [Class]
    # @param ids [Array<Integer>] outbox rows that a statement wrote
    # @return [void]
    def add_written(model, ids)
      @database ||= model.connection_specification_name
      @written.concat(ids)
    end

    # @param database [String] name of the connection
    # @param above [Integer] triggers write outbox rows from now on, with ids above this one
    # @return [void]
    def look(database, above)
      @database ||= database
      @above = [@above, above].compact.min
    end

    # @param savepoint [Notes] of a savepoint that was released into this transaction
    # @return [void]
    def merge(savepoint)
      @database ||= savepoint.database
      savepoint.each { |note| merge_note(note) }
      @written.concat(savepoint.written)
      look(savepoint.database, savepoint.above) if savepoint.above
    end

    # @yieldparam note [Note]
    def each(&block)
      @notes.each_value(&block)
    end

    # @return [Boolean]
    def empty?
      @notes.empty? && @written.empty? && @above.nil?
    end

    # Writes one outbox row for each noted row, while the transaction still holds their locks: that is why their ids
    # can be versions.
    #
    # @param connection [ActiveRecord::ConnectionAdapters::AbstractAdapter]
    # @return [Array<Integer>] the ids of all outbox rows of the transaction that are known
    def flush(connection)
      return @written if @notes.empty?

      outbox = Outbox.of(@notes.each_value.first.model, connection)
      outbox.verify
      @written + outbox.insert(ReplicatesTo.config["source"], @notes.values)
    end

    private

    def merge_note(note)
      earlier = @notes[note.identity]
      @notes[note.identity] = earlier ? earlier.merge(note) : note
    end
  end
end
