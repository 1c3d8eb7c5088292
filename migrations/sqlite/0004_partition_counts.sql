-- The columns of the PostgreSQL store under the same number, which says what they are for.
alter table parked add column read_partition integer;
alter table parked add column partition_count integer;
alter table parked add column moved integer not null default 0;

create index parked_moved on parked (topic, partition_number) where moved;

alter table streams add column partition_count integer;
alter table streams add column partition_count_before integer;
alter table streams add column partition_count_changed_at integer;
