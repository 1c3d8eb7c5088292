-- What tells that a source's versions went back: when an undelivered record was committed, to compare with records of lower
-- versions; and an operator's word that such records, committed until then, may be superseded.
alter table parked add column committed_at timestamptz;
comment on column parked.committed_at is 'Null where it could not be read.';

alter table destinations add column resumed_at timestamptz;
comment on column destinations.resumed_at is 'When an operator last said "resume" of a destination that was not paused.';
