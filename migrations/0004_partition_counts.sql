-- What is undelivered of a key stays with the owner of its partition, also when the topic gets more of them: what each row was
-- parked under, that it was handed on, and when a topic's count changed last.
alter table parked
  add column read_partition integer,
  add column partition_count integer,
  add column moved boolean not null default false;
comment on column parked.partition_number is 'Whose owner retries it: the partition it was read from, or that of its key since the topic got more.';
comment on column parked.read_partition is 'Where it was read; null where that is partition_number.';
comment on column parked.partition_count is 'How many partitions the topic had when that was found; null where nobody knew.';
comment on column parked.moved is 'Handed to partition_number, whose owner has not found it yet.';

-- Owners look for what was handed to them every second: the index holds nothing else.
create index parked_moved on parked (topic, partition_number) where moved;

alter table streams
  add column partition_count integer,
  add column partition_count_before integer,
  add column partition_count_changed_at timestamptz;
comment on column streams.partition_count is 'Of its topic, as replicas saw it last.';
comment on column streams.partition_count_changed_at is 'When the first of them saw that it is not partition_count_before any more.';
