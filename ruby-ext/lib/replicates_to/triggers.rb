# frozen_string_literal: true

require "replicates_to/triggers/definition"
require "replicates_to/triggers/session"
require "replicates_to/triggers/writes"

module ReplicatesTo
  # `coverage: triggers`: the database itself notes what a statement changed, whoever sent it.
  module Triggers
    module_function

    # @return [Boolean] whether triggers note the writes, rather than callbacks
    def on?
      ReplicatesTo.config["coverage"] == "triggers"
    end

    # @param connection [ActiveRecord::ConnectionAdapters::AbstractAdapter]
    # @return [Boolean] whether its database has triggers that could note rows
    def possible?(connection)
      Outbox::ADAPTERS[connection.adapter_name] == Outbox::PostgreSQL
    end

    # @param model [Class]
    # @return [void]
    # @raise [ConfigurationError] when its database has no triggers that could note its rows
    def demand(model)
      connection = RailsPrivate.connection_of(model)
      return if possible?(connection)

      raise ConfigurationError, "#{model.name}: coverage: triggers works on PostgreSQL, not on #{connection.adapter_name}"
    end

    # Refuses a write that nobody would note. Looked at once for each table and process; whether the triggers say what the
    # models say now is for `check`: while a new release comes up, the old one must be able to write.
    #
    # @param model [Class] a noted one, about to be written
    # @return [void]
    # @raise [ConfigurationError]
    def verify(model)
      RailsPrivate.with_connection(model) do |connection|
        place = [RailsPrivate.database_of(connection), model.table_name]
        next if verified.include?(place)

        Outbox.of(model.name, connection).verify
        demand(model)
        missing = Comparison.new(Definition.new(model), Catalog.new(connection).of(model.quoted_table_name)).missing
        raise ConfigurationError, missing if missing

        verified << place
      end
      nil
    end

    # @return [Set] tables whose triggers were found
    def verified
      @verified ||= Concurrent::Set.new
    end

    # @return [Array<Definition>] one for each table of a model whose changes are noted
    # @raise [ConfigurationError] when a database has no such triggers
    def definitions
      Registry.noted.uniq { |model| [model.connection_specification_name, model.table_name] }.map { |model| Definition.new(model) }
    end
  end
end
