# frozen_string_literal: true

require "replicates_to/errors"
require "replicates_to/outbox/row"
require "replicates_to/outbox/identity"
require "replicates_to/outbox/postgresql"
require "replicates_to/outbox/sqlite"

module ReplicatesTo
  # The table of changes that Kafka has not acknowledged yet. All SQL on it is in outbox/, one class for each database.
  module Outbox
    TABLE = "replicates_to_outbox"
    ADAPTERS = {"PostgreSQL" => PostgreSQL, "PostGIS" => PostgreSQL, "SQLite" => SQLite}.freeze

    # What a covered statement did: rows changed, what it returned to its caller, and the outbox rows it left.
    Covered = Struct.new(:rows, :result, :ids)

    # A row that cannot be published, for people.
    Failing = Struct.new(:id, :model, :primary_key, :attempts, :error, keyword_init: true)

    # @return [Integer] generation << 48 | id
    def self.version(generation, id)
      (generation << VERSION_BITS) | id
    end

    # @param connection [ActiveRecord::ConnectionAdapters::AbstractAdapter]
    # @return [PostgreSQL, SQLite]
    # @raise [MappingError] on another database
    def self.on(connection)
      ADAPTERS.fetch(connection.adapter_name) { raise MappingError, unsupported(connection) }.new(connection)
    end

    # The same, where a model can be named that lives there.
    #
    # @param model [String]
    # @raise [MappingError] on another database
    def self.of(model, connection)
      raise MappingError, "#{model}: #{unsupported(connection)}" unless supports?(connection)

      on(connection)
    end

    # @param connection [ActiveRecord::ConnectionAdapters::AbstractAdapter]
    # @return [Boolean]
    def self.supports?(connection)
      ADAPTERS.key?(connection.adapter_name)
    end

    def self.unsupported(connection)
      "replicates_to works on PostgreSQL and SQLite, not on #{connection.adapter_name}"
    end
    private_class_method :unsupported
  end
end
