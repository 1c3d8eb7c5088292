# frozen_string_literal: true

require "replicates_to/sql"

module ReplicatesTo
  module Triggers
    # What a database says of its tables and of the triggers that are there.
    class Catalog < SQL
      # A table, its partition, or a table that inherits from it; kind is PostgreSQL's letter.
      Member = Struct.new(:relation, :table, :kind, keyword_init: true) do
        # @return [Boolean] whether it can have such triggers: foreign tables and views cannot
        def table?
          %w[r p].include?(kind)
        end
      end

      # A trigger and the function it calls. type, old_rows and new_rows say when it does, and what it shows to it.
      Trigger = Struct.new(:relation, :table, :name, :enabled, :type, :old_rows, :new_rows, :function, :body, keyword_init: true)

      # The table first, then its partitions and the tables that inherit from it.
      #
      # @param table [String] its name, as a literal
      # @return [String] a query
      def self.members(table)
        <<~SQL
          with recursive members (relation, depth) as (
            select to_regclass(#{table})::oid, 0
            union select inhrelid, depth + 1 from pg_inherits join members on inhparent = relation)
          select relation, relation::regclass::text as table, relkind::text as kind
          from members join pg_class on pg_class.oid = relation order by depth, relation
        SQL
      end

      # @param table [String]
      # @return [Array<Member>] none when there is no such table
      def members(table)
        select(Catalog.members("%<table>s"), table: table).map { |row| Member.new(**row.symbolize_keys) }
      end

      # @param table [String]
      # @return [Boolean] whether rows of the table may lie in others
      def parent?(table)
        of_table = members(table)
        of_table.many? || of_table.first&.kind == "p"
      end

      # @param table [String]
      # @return [Array<Trigger>] of this source
      def of(table)
        relation = members(table).first&.relation
        installed.select { |trigger| trigger.relation == relation }
      end

      # @return [Array<Trigger>] of this source, on any table
      def installed
        select(<<~SQL, names: Definition.trigger_names.values).map { |row| Trigger.new(**row.symbolize_keys) }
          select tgrelid as relation, tgrelid::regclass::text as table, tgname::text as name, tgenabled in ('O', 'A') as enabled,
            tgtype as type, tgoldtable::text as old_rows, tgnewtable::text as new_rows, tgfoid::regproc::text as function, prosrc as body
          from pg_trigger join pg_proc on pg_proc.oid = tgfoid
          where tgname in (%<names>s) and not tgisinternal order by tgrelid, tgname
        SQL
      end
    end
  end
end
