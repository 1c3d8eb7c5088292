# frozen_string_literal: true

module ReplicatesTo
  # What a changed row means for the rows that are computed from it. The transaction notes only that it changed: its
  # dependants are looked for after the commit, by the publisher, because one that is inserted meanwhile would be missed
  # inside it.
  #
  # The outbox row of a fan-out has the operation `fan_out`, and in its keys the associations that are left to follow,
  # each with the primary key of the last dependant noted; none stand for all that the row's class has now.
  module FanOut
    OPERATION = "fan_out"
    # In the place of an association's name: the row itself, which is to be noted once nobody else holds its lock.
    ITSELF = "."
    ASKING = :replicates_to_asking

    module_function

    # What publishes rows again when a statement changed a row of a class.
    #
    # @param model [Class] the row's class
    # @param change [String] create, update, delete, or move: it goes by another primary key or class now
    # @yieldparam column [String, nil] the only one whose change one of them waits for
    # @yieldreturn [Boolean] whether the statement may have changed that; without a block, it may have changed everything
    # @return [Array<Republication>]
    def republications(model, change)
      return [] unless model.respond_to?(:replicates_to_republications)

      all = model.replicates_to_republications.values
      all = all.reject { |republication| Dependants.follow_their_owner?(model, republication.association) } if change == "create"
      block_given? ? all.select { |republication| yield republication.column(model) } : all
    end

    # A statement changed one row. Where it is the statement of a save, conditions are asked of the record afterwards;
    # everywhere else, and about a row that is gone or moved, there is nobody to ask: publishing too much is safe.
    #
    # @param change [String] create, update, delete or move
    # @param assigned [Array<String>] columns of an update
    # @return [void]
    def changed(model, primary_key, change, assigned = [])
      concerned = republications(model, change) { |column| change != "update" || column.nil? || assigned.include?(column) }
      asking = Thread.current[ASKING] unless %w[delete move].include?(change)
      conditional, certain = asking ? concerned.partition(&:conditional?) : [[], concerned]
      asking << [model, primary_key, conditional] if conditional.any?
      note(model, primary_key, certain)
    end

    # @param record [ActiveRecord::Base]
    # @yield the statement that saves or touches it, before any callback can raise
    def asking(record)
      outer = Thread.current[ASKING]
      questions = Thread.current[ASKING] = []
      result = begin
        yield
      ensure
        Thread.current[ASKING] = outer
      end
      questions.each { |model, primary_key, republications| ask(record, model, primary_key, republications) }
      result
    end

    # @param model [Class]
    # @return [Boolean] whether a saved record of the class has conditions to be asked about
    def asks?(model)
      model.respond_to?(:replicates_to_republications) && model.replicates_to_republications.each_value.any?(&:conditional?)
    end

    # @param republications [Array<Republication>]
    # @return [Hash{String => nil}] what the outbox says of a fan-out that has not begun
    def keys(republications)
      republications.to_h { |republication| [republication.association.to_s, nil] }
    end

    # A condition that raises is the application's to hear of, which may commit all the same.
    def ask(record, model, primary_key, republications)
      wanted = republications.select { |republication| republication.wanted?(record) }
    rescue StandardError
      wanted = republications
      raise
    ensure
      note(model, primary_key, wanted)
    end
    private_class_method :ask

    def note(model, primary_key, republications)
      return if republications.empty?

      Noting.add(model, Note.new(model: model.name, primary_key: PrimaryKey.dump(model, primary_key), operation: OPERATION,
                                 keys: keys(republications), origin: Origin.current))
    end
    private_class_method :note
  end
end

require "replicates_to/fan_out/dependants"
require "replicates_to/fan_out/rows"
require "replicates_to/fan_out/slice"
