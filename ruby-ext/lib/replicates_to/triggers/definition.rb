# frozen_string_literal: true

require "digest"
require "replicates_to/triggers/catalog"
require "replicates_to/triggers/function"

module ReplicatesTo
  module Triggers
    # The triggers of one table and the function they call, as the models want them now: SQL for a migration.
    class Definition
      IDENTIFIER_BYTES_MAX = 63

      # When PostgreSQL is to call the function, and what it shows to it.
      EVENTS = {
        "insert" => "after insert on %s referencing new table as new_rows",
        "update" => "after update on %s referencing old table as old_rows new table as new_rows",
        "delete" => "after delete on %s referencing old table as old_rows",
        "truncate" => "before truncate on %s"
      }.freeze

      # @return [Class] a noted class of the table
      attr_reader :model

      # @param model [Class] a noted class of the table
      # @raise [ConfigurationError] when its database has no such triggers
      # @raise [MappingError] when its rows cannot be named
      def initialize(model)
        @model = model
        @connection = RailsPrivate.connection_of(model)
        Triggers.demand(model)
        raise MappingError, PrimaryKey.missing(model) unless model.primary_key.is_a?(String)
      end

      # @return [String]
      def table
        model.table_name
      end

      # @return [String] name of the function
      def function_name
        identifier("replicates_to_#{source}_#{table}")
      end

      # @return [Hash{String => String}] names of the triggers by event
      def trigger_names
        EVENTS.keys.to_h { |event| [event, identifier("replicates_to_#{source}_#{event}")] }
      end

      # @return [String] what to do when they are not there
      def missing
        "#{table} has no triggers that note its changes: run rails g replicates_to:triggers #{model.name}, then rails db:migrate"
      end

      # @return [String] the function's body
      def body
        Function.new(model, @connection).body
      end

      # @return [String] SQL that makes them, or makes them anew
      def create
        <<~SQL
          create or replace function #{quote(function_name)}() returns trigger
          language plpgsql security definer set search_path = #{search_path} as $replicates_to$
          #{body.chomp}
          $replicates_to$;

          #{on_members { |table| trigger_names.flat_map { |event, name| [drop_trigger(name, table), create_trigger(event, name, table)] } }}
        SQL
      end

      # @return [String] SQL that takes them away
      def drop
        <<~SQL
          #{on_members { |table| trigger_names.values.map { |name| drop_trigger(name, table) } }}
          drop function #{quote(function_name)}();
        SQL
      end

      private

      def drop_trigger(name, table)
        "drop trigger if exists #{quote(name)} on #{table};"
      end

      def create_trigger(event, name, table)
        "create trigger #{quote(name)} #{format(EVENTS.fetch(event), table)}\n" \
          "  for each statement execute function #{quote(function_name)}();"
      end

      # A statement fires the triggers of the table that it names: those of the parent see the rows of its partitions, but
      # what is written to a partition by its own name, only its own triggers see. Which there are is asked where the
      # migration runs.
      #
      # @yieldparam table [String]
      # @yieldreturn [Array<String>] statements
      def on_members
        return yield(model.quoted_table_name).join("\n") unless Catalog.new(@connection).parent?(table)

        <<~SQL.chomp
          do $replicates_to$
          declare
            member regclass;
          begin
            for member in
          #{Catalog.members(@connection.quote(table)).chomp.gsub(/^/, '      ')}
            loop
          #{yield('%s').map { |statement| "    execute format(#{@connection.quote(statement.delete_suffix(';'))}, member);" }.join("\n")}
            end loop;
          end
          $replicates_to$;
        SQL
      end

      # The function runs with the rights of its owner, because whoever may write the table need not be allowed to write
      # the outbox. So it must not find what others put in its way: temporary tables come last.
      def search_path
        schemas = @connection.select_values("select unnest(current_schemas(false))")
        [*schemas.map { |schema| quote(schema) }, "pg_temp"].join(", ")
      end

      def source
        ReplicatesTo.config["source"]
      end

      # PostgreSQL cuts off what is too long, and two names might become one.
      def identifier(name)
        return name if name.bytesize <= IDENTIFIER_BYTES_MAX

        "#{name.byteslice(0, IDENTIFIER_BYTES_MAX - 9).scrub('')}_#{Digest::SHA256.hexdigest(name).first(8)}"
      end

      def quote(name)
        @connection.quote_column_name(name)
      end
    end
  end
end
