# frozen_string_literal: true

module ReplicatesTo
  module Triggers
    # The body of a table's trigger function: one outbox row for each row that a statement changed, drawn after the
    # statement wrote it and while its lock is held. Statement triggers see all rows of a statement at once, as `old_rows`
    # and `new_rows`; PostgreSQL wants one such trigger for each operation.
    class Function
      # What a statement leaves of each row: the rows, their key, and the notes, each a query of a model and an operation.
      Noted = Struct.new(:rows, :key, :notes, keyword_init: true)

      # @param model [Class] a noted class of the table
      # @param connection [ActiveRecord::ConnectionAdapters::AbstractAdapter]
      def initialize(model, connection)
        @model = model
        @connection = connection
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
        Noted.new(rows: "new_rows as new_row", key: key("new_row"), notes: notes("create", "'create'", "new_row"))
      end

      # A row whose primary key changed is two rows to a consumer: one that is gone, and a new one. A row whose class
      # changed is noted for both classes, which may have different destinations.
      def updated
        old, new = column("old_row", @model.primary_key), column("new_row", @model.primary_key)
        operation = "case when #{new} is null then 'delete' when #{old} is null then 'create' else 'update' end"
        Noted.new(rows: "old_rows as old_row full join new_rows as new_row on #{new} = #{old}", key: key("new_row", "old_row"),
                  notes: notes("update", operation, "old_row", "new_row"))
      end

      def deleted
        Noted.new(rows: "old_rows as old_row", key: key("old_row"), notes: notes("delete", "'delete'", "old_row"))
      end

      def insert(noted)
        <<~SQL.chomp.gsub(/^/, "    ")
          insert into replicates_to_outbox (source, model, primary_key, operation, keys, origin, created_at)
          select #{quote(ReplicatesTo.config['source'])}, note.model,
            #{noted.key},
            note.operation, note.keys, nullif(current_setting('replicates_to.origin', true), ''), clock_timestamp()
          from #{noted.rows}
          cross join lateral (
            #{noted.notes.join("\n  union ")}
          ) as note (model, operation, keys)
          where note.model is not null and note.keys is distinct from '{}';
        SQL
      end

      # For each class that the row is to be noted for, and for each whose rows have others published again.
      #
      # @param change [String] what the statement does: create, update or delete
      # @param operation [String] what it did to the row, in SQL
      # @param rows [Array<String>] the row, or its old and its new state, of which one may be missing
      def notes(change, operation, *rows)
        followed = BulkWrites.followed(change)
        BulkWrites.classes(@model).flat_map { |naming| named(naming, operation, rows) { "null::text" } } +
          BulkWrites.fan_outs(@model, followed).flat_map do |naming|
            named(naming, quote(FanOut::OPERATION), rows) { |model| associations(model, followed[model], rows) }
          end
      end

      # Those that wait for a change of a column are followed when it has changed; the others always.
      def associations(model, republications, rows)
        parts = republications.group_by { |one| one.column(model) if rows.many? }.map do |name, of_column|
          part = quote(JSON.generate(FanOut.keys(of_column))[1..-2])
          name ? "case when #{changed(rows, name)} then #{part} end" : part
        end
        "'{' || concat_ws(',', #{parts.join(', ')}) || '}'"
      end

      # A row that goes by another key or class now has changed in every respect.
      def changed(rows, name)
        columns = [*@model.primary_key, *(@model.inheritance_column if @model.columns_hash.key?(@model.inheritance_column)), name]
        # As text, because a json cannot be compared.
        columns.map { |one| rows.map { |row| "#{column(row, one)}::text" }.join(" is distinct from ") }.join(" or ")
      end

      # @yieldparam model [Class]
      # @yieldreturn [String] what the note's keys are, in SQL
      def named(naming, operation, rows, &keys)
        return ["select #{quote(naming.default.name)}, #{operation}, #{keys.call(naming.default)}"] if naming.classes.empty?

        rows.map do |row|
          present = " where #{column(row, @model.primary_key)} is not null" if rows.many?
          "select #{by_class(naming, row) { |model| quote(model.name) }}, #{operation}, #{by_class(naming, row, &keys)}#{present}"
        end
      end

      # @yieldparam model [Class]
      # @yieldreturn [String] in SQL
      def by_class(naming, row)
        cases = naming.classes.sort_by(&:first).map { |value, model| "when #{quote(value)} then #{yield model}" }
        "case #{column(row, naming.column)} #{cases.join(' ')}#{" else #{yield naming.default}" if naming.default} end"
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
