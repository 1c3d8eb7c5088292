# frozen_string_literal: true

require "replicates_to/errors"

module ReplicatesTo
  # How the columns of a table become values of a record. The list of types is closed: what is not in it has no wire
  # type, and a mapping that selects it is refused. docs/guides/types.md shows the list.
  #
  # Values are read before type cast where Ruby's value loses something: IPAddr drops host bits, Duration rounds, a Date
  # before 1582 is Julian, a json round trip turns 1.10 into 1.1.
  module ColumnTypes
    # kind is the extension's name of a wire type; read turns a freshly loaded record into the value to encode.
    Reading = Struct.new(:kind, :scale, :read)

    # @param model [Class]
    # @return [PostgreSQL, SQLite] which answers `reading(column_name)` with a Reading, or nil, and `label(column_name)`
    def self.of(model)
      connection = RailsPrivate.connection_of(model)
      Outbox.of(model.name, connection).is_a?(Outbox::SQLite) ? SQLite.new(model) : PostgreSQL.new(model)
    end
  end
end

require "replicates_to/column_types/texts"
require "replicates_to/column_types/declared"
require "replicates_to/column_types/postgresql"
require "replicates_to/column_types/sqlite"
