# frozen_string_literal: true

module ReplicatesTo
  # The rows that statements of one transaction (or savepoint) changed: class, primary key and operation, one entry a
  # row. They hang on the transaction, move to its parent when a savepoint is released, and vanish when it is rolled back.
  #
  # Statements that note what they change themselves leave the ids of their outbox rows here.
  class Notes
    def initialize
      @operations = {}
      @written = []
    end

    # @return [Array<Integer>] outbox rows that are written already
    attr_reader :written

    # @return [String, nil] name of the connection that the models live on
    attr_reader :database

    # @param model [Class] the row's class
    # @param primary_key [Object] as the model reads it
    # @param operation [String] create, update or delete
    # @return [void]
    def add(model, primary_key, operation)
      @database ||= model.connection_specification_name
      note([model.name, PrimaryKey.dump(model, primary_key)], operation)
    end

    # @param model [Class]
    # @param ids [Array<Integer>] outbox rows that a statement wrote
    # @return [void]
    def add_written(model, ids)
      @database ||= model.connection_specification_name
      @written.concat(ids)
    end

    # @param savepoint [Notes] of a savepoint that was released into this transaction
    # @return [void]
    def merge(savepoint)
      @database ||= savepoint.database
      savepoint.each { |row, operation| note(row, operation) }
      @written.concat(savepoint.written)
    end

    # @yieldparam row [(String, String)] class name, primary key as JSON
    # @yieldparam operation [String]
    def each(&block)
      @operations.each(&block)
    end

    # @return [Boolean]
    def empty?
      @operations.empty? && @written.empty?
    end

    # Writes one outbox row for each noted row, while the transaction still holds their locks: that is why their ids
    # can be versions.
    #
    # @param connection [ActiveRecord::ConnectionAdapters::AbstractAdapter]
    # @return [Array<Integer>] the ids of all outbox rows of the transaction
    def flush(connection)
      return @written if @operations.empty?

      outbox = Outbox.on(connection)
      outbox.verify
      rows = @operations.map { |(model, primary_key), operation| [model, primary_key, operation] }
      @written + outbox.insert(ReplicatesTo.config["source"], rows)
    end

    private

    # The last operation says what became of the row, but a row created here and then updated was still created here.
    def note(row, operation)
      @operations[row] = operation unless @operations[row] == "create" && operation == "update"
    end
  end
end
