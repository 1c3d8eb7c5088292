# frozen_string_literal: true

module ReplicatesTo
  module ColumnTypes
    class PostgreSQL
      # What PostgreSQL's own tables say of a table's columns.
      module Catalogue
        # type is the base type, of an array that of its elements; kind tells base types from enums, ranges and others;
        # arrays counts how often elements had to be looked for; label is how PostgreSQL calls the column's type.
        Column = Struct.new(:type, :kind, :arrays, :scale, :label)
        NUMERIC = "numeric"
        # Of a typmod; then come 16 bits of precision and 11 of scale.
        HEADER = 4

        module_function

        # @param model [Class]
        # @return [Hash{String => Column}]
        def columns(model)
          connection = RailsPrivate.connection_of(model)
          rows = connection.exec_query(query(connection.quote(model.quoted_table_name)), "ReplicatesTo Columns").to_a
          rows.to_h do |row|
            scale = scale_of(row["typmod"]) if row["type"] == NUMERIC
            [row["name"], Column.new(row["type"], row["kind"], row["arrays"], scale, row["label"])]
          end
        end

        # Eleven bits, signed since PostgreSQL 15: numeric(5,-2) counts in hundreds and has no digits behind the point.
        def scale_of(typmod)
          return if typmod < HEADER

          scale = (((typmod - HEADER) & 0x7ff) ^ 0x400) - 0x400
          [scale, 0].max
        end
        private_class_method :scale_of

        # Domains lead to their base types and arrays to their elements, in any order. A typmod is the column's own, or
        # that of the innermost domain which says one. The label is that of the type before its elements.
        def query(table)
          <<~SQL
            with recursive resolved (name, oid, typmod, arrays, label) as (
              select attname, atttypid, atttypmod, 0, null::text from pg_attribute
              where attrelid = #{table}::regclass and attnum > 0 and not attisdropped
              union all
              select resolved.name,
                     case typtype when 'd' then typbasetype else typelem end,
                     case when typtype = 'd' and resolved.typmod = -1 then typtypmod else resolved.typmod end,
                     resolved.arrays + case typtype when 'd' then 0 else 1 end,
                     case when typtype = 'd' then resolved.label else coalesce(resolved.label, format_type(pg_type.oid, null)) end
              from resolved join pg_type on pg_type.oid = resolved.oid
              where typtype = 'd' or typinput = 'array_in'::regproc
            )
            select resolved.name::text, typmod, arrays, typname::text as type, typtype::text as kind,
                   coalesce(resolved.label, format_type(pg_type.oid, null)) as label
            from resolved join pg_type on pg_type.oid = resolved.oid
            where typtype <> 'd' and typinput <> 'array_in'::regproc
          SQL
        end
        private_class_method :query
      end
    end
  end
end
