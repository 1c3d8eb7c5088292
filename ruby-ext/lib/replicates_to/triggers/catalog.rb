# frozen_string_literal: true

require "replicates_to/sql"

module ReplicatesTo
  module Triggers
    # What a database says of its tables and of the triggers that are there.
    class Catalog < SQL
      # The table, its partitions and the tables that inherit from it. Foreign ones can have no such triggers.
      #
      # @param table [String] its name, as a literal
      # @return [String] a query
      def self.members(table)
        <<~SQL
          with recursive members (relation) as (
            select #{table}::regclass::oid
            union select inhrelid from pg_inherits join members on inhparent = relation)
          select relation::regclass from members join pg_class on pg_class.oid = relation where relkind in ('r', 'p')
        SQL
      end

      # @param table [String]
      # @return [Boolean] whether rows of the table may lie in others
      def parent?(table)
        select(<<~SQL, table: table).first["parent"]
          select relkind = 'p' or exists (select from pg_inherits where inhparent = pg_class.oid) as parent
          from pg_class where oid = %<table>s::regclass
        SQL
      end

      # @param table [String]
      # @return [Array<String>] names of its triggers
      def triggers(table)
        select("select tgname from pg_trigger where tgrelid = %<table>s::regclass", table: table).map { |row| row["tgname"] }
      end
    end
  end
end
