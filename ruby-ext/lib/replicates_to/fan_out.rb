# frozen_string_literal: true

module ReplicatesTo
  # What a changed row means for the rows that are computed from it. The transaction notes only that it changed: its
  # dependants are looked for after the commit, by the publisher, because one that is inserted meanwhile would be missed
  # inside it.
  #
  # The outbox row of a fan-out has the operation `fan_out`, and in its keys the associations that are left to follow,
  # each with the primary key of the last dependant noted; none at all stand for every association of the row's class.
  module FanOut
    OPERATION = "fan_out"
    # In the place of an association's name: the row itself, which is to be noted once nobody else holds its lock.
    ITSELF = "."
    ASKING = :replicates_to_asking

    module_function

    # What publishes rows again when a row of a class changed, however it was written.
    #
    # @param model [Class] the row's class
    # @param operation [String] create, update or delete
    # @return [Array<Republication>]
    def republications(model, operation)
      return [] unless model.respond_to?(:replicates_to_republications)

      all = model.replicates_to_republications.values
      operation == "create" ? all.reject { |republication| Dependants.follow_their_owner?(model, republication.association) } : all
    end

    # A statement changed one row. Where it is the statement of a save, conditions are asked of the record afterwards;
    # everywhere else, and about a row that is gone, there is nobody to ask: publishing too much is safe.
    #
    # @return [void]
    def changed(model, primary_key, operation)
      conditional, certain = republications(model, operation).partition(&:conditional?)
      asking = Thread.current[ASKING]
      asking ? asking << [model, primary_key, conditional] : certain += conditional
      note(model, primary_key, certain)
    end

    # @param record [ActiveRecord::Base]
    # @yield the statement that saves it, before any callback can raise
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
                                 keys: republications.to_h { |republication| [republication.association.to_s, nil] },
                                 origin: Origin.current))
    end
    private_class_method :note
  end
end

require "replicates_to/fan_out/dependants"
require "replicates_to/fan_out/rows"
require "replicates_to/fan_out/slice"
