# frozen_string_literal: true

# Whoever changes rows of drivers, by whatever statement, leaves a row in replicates_to_outbox for each. Written by
# rails g replicates_to:triggers Driver; after a change of its replicates_to lines or columns, that writes the next.
class ReplicateDriversByTriggers < ActiveRecord::Migration[6.1]
  def up
    execute <<~'SQL'
      create or replace function "replicates_to_monolith_drivers"() returns trigger
      language plpgsql security definer set search_path = "public", pg_temp as $replicates_to$
      -- Notes the rows that a statement changed, while it holds their locks. Written by replicates_to: when the model
      -- changes, rails g replicates_to:triggers writes it again.
      begin
        if current_setting('replicates_to.off', true) = 'on' then
          return null;
        elsif tg_op = 'INSERT' then
          insert into replicates_to_outbox (source, model, primary_key, operation, keys, origin, created_at)
          select 'monolith', note.model,
            '[' || new_row."id"::text || ']',
            note.operation, note.keys, nullif(current_setting('replicates_to.origin', true), ''), clock_timestamp()
          from new_rows as new_row
          cross join lateral (
            select 'Driver'::text,
              'create',
              null::text
          ) as note (model, operation, keys)
          where note.model is not null and note.keys is distinct from '{}';
        elsif tg_op = 'UPDATE' then
          insert into replicates_to_outbox (source, model, primary_key, operation, keys, origin, created_at)
          select 'monolith', note.model,
            '[' || coalesce(new_row."id", old_row."id")::text || ']',
            note.operation, note.keys, nullif(current_setting('replicates_to.origin', true), ''), clock_timestamp()
          from old_rows as old_row full join new_rows as new_row on new_row."id" = old_row."id"
          cross join lateral (
            select 'Driver'::text,
              case when old_row."id" is null then 'create' else 'update' end,
              null::text
          ) as note (model, operation, keys)
          where note.model is not null and note.keys is distinct from '{}';
        elsif tg_op = 'DELETE' then
          insert into replicates_to_outbox (source, model, primary_key, operation, keys, origin, created_at)
          select 'monolith', note.model,
            '[' || old_row."id"::text || ']',
            note.operation, note.keys, nullif(current_setting('replicates_to.origin', true), ''), clock_timestamp()
          from old_rows as old_row
          cross join lateral (
            select 'Driver'::text,
              'delete',
              null::text
          ) as note (model, operation, keys)
          where note.model is not null and note.keys is distinct from '{}';
        elsif tg_op = 'TRUNCATE' then
          raise exception 'TRUNCATE of % would delete rows that replicates_to cannot note', tg_table_name using
            errcode = 'feature_not_supported',
            hint = 'DELETE is noted. Nothing is inside ReplicatesTo.disabled { }, in SQL after set local replicates_to.off = ''on''.';
        end if;
        return null;
      end
      $replicates_to$;

      drop trigger if exists "replicates_to_monolith_insert" on "drivers";
      create trigger "replicates_to_monolith_insert" after insert on "drivers" referencing new table as new_rows
        for each statement execute function "replicates_to_monolith_drivers"();
      drop trigger if exists "replicates_to_monolith_update" on "drivers";
      create trigger "replicates_to_monolith_update" after update on "drivers" referencing old table as old_rows new table as new_rows
        for each statement execute function "replicates_to_monolith_drivers"();
      drop trigger if exists "replicates_to_monolith_delete" on "drivers";
      create trigger "replicates_to_monolith_delete" after delete on "drivers" referencing old table as old_rows
        for each statement execute function "replicates_to_monolith_drivers"();
      drop trigger if exists "replicates_to_monolith_truncate" on "drivers";
      create trigger "replicates_to_monolith_truncate" before truncate on "drivers"
        for each statement execute function "replicates_to_monolith_drivers"();
    SQL
  end

  def down
    execute <<~'SQL'
      drop function if exists "replicates_to_monolith_drivers"() cascade;
    SQL
  end
end
