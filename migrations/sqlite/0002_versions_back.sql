-- The columns of the PostgreSQL store under the same number, which says what they are for.
alter table parked add column committed_at integer;
alter table destinations add column resumed_at integer;
