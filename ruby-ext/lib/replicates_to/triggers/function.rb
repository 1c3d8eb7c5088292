# frozen_string_literal: true

module ReplicatesTo
  module Triggers
    # The body of a table's trigger function: one outbox row for each row that a statement changed, drawn after the
    # statement wrote it and while its lock is held. Statement triggers see all rows of a statement at once, as `old_rows`
    # and `new_rows`; PostgreSQL wants one such trigger for each operation.
    class Function
      # A row of the transition tables, where the statement is about to note it: what the columns of the outbox are.
      Noted = Struct.new(:rows, :key, :operation, :classes, keyword_init: true)

      # @param model [Class] a replicated class of the table
      # @param connection [ActiveRecord::ConnectionAdapters::AbstractAdapter]
      def initialize(model, connection)
        @model = model
        @connection = connection
        @namings = BulkWrites.classes(model)
        @fan_outs = %w[create update delete].to_h { |operation| [operation, BulkWrites.fan_outs(model, operation)] }
      end

      # @return [String] what PostgreSQL keeps of the function, and `check` compares
      def body
        <<~SQL
          -- Notes the rows that a statement changed, while it holds their locks. Written by replicates_to: when the model
          -- changes, rails g replicates_to:triggers writes it again.
          begin
            if current_setting('replicates_to.off', true) = 'on' then
              return null;
            elsif tg_op = 'INSERT' then
          #{insert(inserted)}
            elsif tg_op = 'UPDATE' then
          #{insert(updated)}
            elsif tg_op = 'DELETE' then
          #{insert(deleted)}
            elsif tg_op = 'TRUNCATE' then
              raise exception 'TRUNCATE of % would delete rows that replicates_to cannot note', tg_table_name using
                errcode = 'feature_not_supported',
                hint = 'DELETE is noted. Nothing is inside ReplicatesTo.disabled { }, in SQL after set local replicates_to.off = ''on''.';
            end if;
            return null;
          end
        SQL
      end

      private

      def inserted
        Noted.new(rows: "new_rows as new_row", key: key("new_row"), operation: "'create'", classes: classes("create", "new_row"))
      end

      # A row whose primary key changed is two rows to a consumer: one that is gone, and a new one. A row whose class
      # changed is noted for both classes, which may have different destinations.
      def updated
        old, new = column("old_row", @model.primary_key), column("new_row", @model.primary_key)
        Noted.new(rows: "old_rows as old_row full join new_rows as new_row on #{new} = #{old}", key: key("new_row", "old_row"),
                  operation: "case when #{new} is null then 'delete' when #{old} is null then 'create' else 'update' end",
                  classes: classes("update", "old_row", "new_row"))
      end

      def deleted
        Noted.new(rows: "old_rows as old_row", key: key("old_row"), operation: "'delete'", classes: classes("delete", "old_row"))
      end

      def insert(noted)
        <<~SQL.chomp.gsub(/^/, "    ")
          insert into replicates_to_outbox (source, model, primary_key, operation, origin, created_at)
          select #{quote(ReplicatesTo.config['source'])}, class.name,
            #{noted.key},
            coalesce(class.operation, #{noted.operation}),
            nullif(current_setting('replicates_to.origin', true), ''), clock_timestamp()
          from #{noted.rows}
          cross join lateral (
            #{noted.classes.join("\n  union ")}
          ) as class (name, operation)
          where class.name is not null;
        SQL
      end

      # One for each class that the row is to be noted for, and one for each that has others republished.
      #
      # @param change [String] create, update or delete
      # @param rows [Array<String>] the row, or its old and its new state, of which one may be missing
      def classes(change, *rows)
        @namings.flat_map { |naming| names(naming, "null::text", rows) } +
          @fan_outs.fetch(change).flat_map { |naming| names(naming, quote(FanOut::OPERATION), rows) }
      end

      def names(naming, operation, rows)
        return ["select #{quote(naming.default)}::text, #{operation}"] if naming.names.empty?

        rows.map do |row|
          "select #{class_of(naming, row)}, #{operation}#{" where #{column(row, @model.primary_key)} is not null" if rows.many?}"
        end
      end

      def class_of(naming, row)
        cases = naming.names.sort.map { |value, name| "when #{quote(value)} then #{quote(name)}" }
        "case #{column(row, naming.column)} #{cases.join(' ')}#{" else #{quote(naming.default)}" if naming.default} end"
      end

      def key(*rows)
        values = rows.map { |row| column(row, @model.primary_key) }
        value = values.one? ? values.first : "coalesce(#{values.join(', ')})"
        "json_build_array(#{@model.type_for_attribute(@model.primary_key).type == :integer ? value : "#{value}::text"})::text"
      end

      def column(row, name)
        "#{row}.#{@connection.quote_column_name(name)}"
      end

      def quote(value)
        @connection.quote(value)
      end
    end
  end
end
