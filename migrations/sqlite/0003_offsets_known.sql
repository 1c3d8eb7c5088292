-- The column of the PostgreSQL store under the same number, which says what it is for.
alter table watermarks add column offset_max integer;
