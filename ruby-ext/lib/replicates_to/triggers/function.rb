# frozen_string_literal: true

module ReplicatesTo
  module Triggers
    # The body of a table's trigger function: one outbox row for each row that a statement changed, drawn after the
    # statement wrote it and while its lock is held. Statement triggers see all rows of a statement at once, as `old_rows`
    # and `new_rows`; PostgreSQL wants one such trigger for each operation.
    class Function
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
          #{inserted}
            elsif tg_op = 'UPDATE' then
          #{updated}
            elsif tg_op = 'DELETE' then
          #{deleted}
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
        note("new_rows as new_row", key("new_row"), notes("create", "'create'", %w[new_row]))
      end

      # A row whose primary key changed is two rows to a consumer: one that is gone, and a new one. A row whose class
      # changed is noted for both classes, which may have different destinations.
      def updated
        # As texts, because to a consumer values are different that the database calls equal (citext).
        pairs = primary_key.columns.map { |one| %w[new_row old_row].map { |row| one.part_sql(column(row, one.name)) }.join(" = ") }
        operation = "case when #{absent('old_row')} then 'create' else 'update' end"
        note("old_rows as old_row full join new_rows as new_row on #{pairs.join(' and ')}", key("new_row", "old_row"),
             notes("update", operation, %w[old_row new_row]) { |model| changed_keys(model) })
      end

      def deleted
        note("old_rows as old_row", key("old_row"), notes("delete", "'delete'", %w[old_row]) { |model| former_keys(model) })
      end

      def note(rows, key, notes)
        <<~SQL.chomp.gsub(/^/, "    ")
          insert into replicates_to_outbox (source, model, primary_key, operation, keys, origin, created_at)
          select #{quote(ReplicatesTo.config['source'])}, note.model,
            #{key},
            note.operation, note.keys, nullif(current_setting('replicates_to.origin', true), ''), clock_timestamp()
          from #{rows}
          cross join lateral (
            #{notes.join("\n  union ")}
          ) as note (model, operation, keys)
          where note.model is not null and note.keys is distinct from '{}';
        SQL
      end

      # For each class that a row is to be noted for, and for each whose rows have others published again.
      #
      # @param change [String] what the statement does: create, update or delete
      # @param operation [String] what it did to the row, in SQL
      # @param rows [Array<String>] the row, or its old and its new state, of which one may be missing
      # @yieldparam model [Class]
      # @yieldreturn [String, nil] in SQL, the keys that its row had and cannot tell any more
      # @return [Array<String>] queries of a model, an operation and keys
      def notes(change, operation, rows, &keys)
        followed = BulkWrites.followed(change)
        BulkWrites.classes(@model).flat_map { |naming| named(naming, operation, rows, &keys) } +
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

      def named(naming, operation, rows)
        rows = rows.first(1) if naming.classes.empty?
        rows.map do |row|
          keys = by_class(naming, row) { |model| yield(model) if block_given? }
          present = "\n  where not #{absent(row)}" if rows.many?
          "select #{by_class(naming, row) { |model| quote(model.name) }},\n    #{operation},\n    #{keys}#{present}"
        end
      end

      # @yieldparam model [Class]
      # @yieldreturn [String, nil] a text in SQL
      def by_class(naming, row)
        default = naming.default && yield(naming.default)
        texts = naming.classes.sort_by(&:first).map { |value, model| [value, yield(model)] }
        return "#{default || 'null'}::text" if texts.all? { |_, text| text == default }

        cases = texts.map { |value, text| "when #{quote(value)} then #{text || 'null'}" }
        "case #{column(row, naming.column)} #{cases.join(' ')} else #{default || 'null'} end"
      end

      # By destination; where the primary key tells them, nobody has to note them.
      def former_keys(model)
        keys = model.replicates_to_keys.map { |destination, key| "#{quote(destination.to_s)}, #{text(key, 'old_row')}" }
        "json_build_object(#{keys.join(', ')})::text" if keys.any?
      end

      def changed_keys(model)
        keys = model.replicates_to_keys.values
        return if keys.empty?

        old, new = %w[old_row new_row].map { |row| keys.map { |key| text(key, row) }.uniq.join(", ") }
        changed = [absent("new_row"), "(#{old}) is distinct from (#{new})", *left_class].join(" or ")
        "case when #{absent('old_row')} then null when #{changed} then #{former_keys(model)} end"
      end

      # A row that leaves a class may change its key, or go, as one of its new class before anybody published that it left.
      def left_class
        name = @model.inheritance_column
        %w[old_row new_row].map { |row| column(row, name) }.join(" is distinct from ") if @model.columns_hash.key?(name)
      end

      def text(key, row)
        key.sql { |name| column(row, name) }
      end

      def key(*rows)
        primary_key.json_sql do |name|
          values = rows.map { |row| column(row, name) }
          values.one? ? values.first : "coalesce(#{values.join(', ')})"
        end
      end

      def primary_key
        @primary_key ||= PrimaryKey.of(@model)
      end

      # Only one state of a row whose primary key changed joins.
      def absent(row)
        "#{column(row, primary_key.names.first)} is null"
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
