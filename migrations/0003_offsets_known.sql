-- How far a partition was acknowledged, beside Kafka: where a group's offset has expired, what was not read can be told.
alter table watermarks add column offset_max bigint;
comment on column watermarks.offset_max is 'The highest acknowledged offset; null where all that was acknowledged came from parked.';
