# frozen_string_literal: true

require "digest"
require "replicates_to/triggers/catalog"
require "replicates_to/triggers/comparison"
require "replicates_to/triggers/function"

module ReplicatesTo
  module Triggers
    # The triggers of one table and the function they call, as the models want them now: SQL for a migration.
    class Definition
      IDENTIFIER_BYTES_MAX = 63

      # When PostgreSQL is to call the function, and what it shows to it: in SQL, and as its catalogue has it.
      Event = Struct.new(:sql, :type, :old_rows, :new_rows)
      EVENTS = {
        "insert" => Event.new("after insert on %s referencing new table as new_rows", 4, nil, "new_rows"),
        "update" => Event.new("after update on %s referencing old table as old_rows new table as new_rows", 16, "old_rows", "new_rows"),
        "delete" => Event.new("after delete on %s referencing old table as old_rows", 8, "old_rows", nil),
        "truncate" => Event.new("before truncate on %s", 34, nil, nil)
      }.freeze

      class << self
        # @return [Hash{String => String}] names of the triggers by event: those of this source, on whatever table
        def trigger_names
          EVENTS.keys.to_h { |event| [event, identifier("replicates_to_#{ReplicatesTo.config['source']}_#{event}")] }
        end

        # PostgreSQL cuts off what is too long, and two names might become one.
        #
        # @return [String]
        def identifier(name)
          return name if name.bytesize <= IDENTIFIER_BYTES_MAX

          "#{name.byteslice(0, IDENTIFIER_BYTES_MAX - 9).scrub('')}_#{Digest::SHA256.hexdigest(name).first(8)}"
        end
      end

      # @return [Class] a noted class of the table
      attr_reader :model

      # @param model [Class] a noted class of the table
      # @raise [ConfigurationError] when its database has no such triggers
      # @raise [MappingError] when its rows cannot be named
      def initialize(model)
        @model = model
        @connection = RailsPrivate.connection_of(model)
        Triggers.demand(model)
        raise MappingError, PrimaryKey.missing(model) unless model.primary_key
      end

      # @return [String]
      def table
        model.table_name
      end

      # @return [String] name of the function
      def function_name
        Definition.identifier("replicates_to_#{ReplicatesTo.config['source']}_#{table}")
      end

      # @return [String] what writes them a migration
      def command
        "rails g replicates_to:triggers #{model.name}"
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

      # @return [String] SQL that takes them away, from partitions that came later too
      def drop
        "drop function if exists #{quote(function_name)}() cascade;\n"
      end

      private

      def trigger_names
        Definition.trigger_names
      end

      def drop_trigger(name, table)
        "drop trigger if exists #{quote(name)} on #{table};"
      end

      def create_trigger(event, name, table)
        "create trigger #{quote(name)} #{format(EVENTS.fetch(event).sql, table)}\n" \
          "  for each statement execute function #{quote(function_name)}();"
      end

      # A statement fires the triggers of the table that it names: those of the parent see the rows of its partitions, but
      # what is written to a partition by its own name, only its own triggers see. Which there are is asked where the
      # migration runs.
      #
      # @yieldparam table [String]
      # @yieldreturn [Array<String>] statements
      def on_members
        return yield(model.quoted_table_name).join("\n") unless Catalog.new(@connection).parent?(model.quoted_table_name)

        <<~SQL.chomp
          do $replicates_to$
          declare
            member regclass;
          begin
            for member in select relation from (
          #{Catalog.members(@connection.quote(model.quoted_table_name)).chomp.gsub(/^/, '      ')}
            ) as members where kind in ('r', 'p') loop
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

      def quote(name)
        @connection.quote_column_name(name)
      end
    end
  end
end
