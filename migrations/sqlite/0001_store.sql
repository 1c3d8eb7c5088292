-- The relay's store on SQLite, for development: the tables and checks of the PostgreSQL store under the same number.
--
-- Moments are microseconds since 1970, key hashes are blobs of 16 bytes, truths are 0 and 1.

-- The log. SQLite has no partitions: expired rows are hidden at once and deleted in slices.
create table attempts (
  expires_at integer not null,
  attempted_at integer not null,
  destination text not null,
  source text,
  model text,
  key text,
  key_hash blob not null,
  version integer not null,
  operation text,
  attempt integer not null,
  cause text not null,
  outcome text not null,
  status integer,
  error_class text,
  error text,
  method text,
  url text,
  request_headers text,
  request_body blob,
  response_headers text,
  response_body blob,
  body_encoding text not null,
  connect_ms real,
  first_byte_ms real,
  total_ms real,
  topic text not null,
  partition_number integer not null,
  offset_number integer not null,
  batch_id text,
  trace_id text,
  replica text not null,
  constraint attempts_version_exact check (version >= 0 and version < 9007199254740992),
  constraint attempts_operation_known check (operation in ('create', 'update', 'delete', 'snapshot')),
  constraint attempts_attempt_counted check (attempt >= 0),
  constraint attempts_cause_known check (cause in ('live', 'snapshot', 'retry', 'manual')),
  constraint attempts_outcome_known check (
    outcome in ('delivered', 'stale', 'superseded', 'retryable', 'rejected', 'quarantined', 'discarded')
  ),
  constraint attempts_body_encoding_known check (body_encoding in ('identity', 'zstd', 'none')),
  constraint attempts_record_named_or_unreadable check (
    (source is null) = (model is null) and (model is null) = (key is null) and (key is null) = (operation is null)
  )
) strict;

create index attempts_key on attempts (key_hash, version);
create index attempts_failed on attempts (destination, attempted_at)
  where outcome in ('retryable', 'rejected', 'quarantined', 'discarded');
create index attempts_attempted_at on attempts (attempted_at);
create index attempts_expired on attempts (expires_at);

-- All undelivered records. A row is retried only by the replica that owns its partition, so nothing is claimed or
-- locked. Rows never expire; they go when the delivery ends.
create table parked (
  id integer not null,
  key_hash blob not null,
  destination text not null,
  source text,
  model text,
  key text,
  version integer not null,
  operation text,
  record blob,
  state text not null,
  reason text,
  attempts integer not null,
  charged integer not null,
  next_attempt_at integer,
  first_failed_at integer not null,
  last_failed_at integer not null,
  last_status integer,
  error_class text,
  error text not null,
  topic text not null,
  partition_number integer not null,
  offset_number integer not null,
  constraint parked_pkey primary key (id),
  constraint parked_delivery unique (key_hash, version),
  constraint parked_version_exact check (version >= 0 and version < 9007199254740992),
  constraint parked_operation_known check (operation in ('create', 'update', 'delete', 'snapshot')),
  constraint parked_state_known check (state in ('parked', 'exhausted', 'rejected', 'quarantined')),
  constraint parked_reason_known check (reason in ('retry', 'probe', 'manual')),
  constraint parked_reason_iff_parked check ((reason is not null) = (state = 'parked')),
  constraint parked_due_iff_parked check ((next_attempt_at is not null) = (state = 'parked')),
  constraint parked_attempts_counted check (charged >= 0 and attempts >= 0),
  constraint parked_record_named_or_unreadable check (
    (source is null) = (model is null) and (model is null) = (key is null) and (key is null) = (operation is null)
  )
) strict;

create index parked_due on parked (topic, partition_number, next_attempt_at);
-- Owners look for manual retries every second: the index holds nothing else.
create index parked_manual on parked (topic, partition_number) where reason = 'manual';
-- Counts by state and the oldest waiting record, both without touching the table.
create index parked_waiting on parked (destination, state, first_failed_at);
create index parked_newest on parked (destination, id);

-- A small number for each stream, so that ledger rows stay small.
create table streams (
  id integer not null,
  destination text not null,
  source text not null,
  model text not null,
  constraint streams_pkey primary key (id),
  constraint streams_name unique (destination, source, model)
) strict;

-- Per key the last acknowledged version.
create table ledger (
  stream_id integer not null,
  key_hash blob not null,
  key text not null,
  version integer not null,
  content_hash blob not null,
  mapping_fingerprint integer not null,
  deleted integer not null,
  suspect integer not null,
  acknowledged_at integer not null,
  committed_at integer not null,
  constraint ledger_pkey primary key (stream_id, key_hash),
  constraint ledger_version_exact check (version >= 0 and version < 9007199254740992),
  constraint ledger_content_hash_whole check (length(content_hash) = 16)
) strict, without rowid;

-- The highest acknowledged version of a stream's partition: a record above it cannot be stale.
create table watermarks (
  stream_id integer not null,
  partition_number integer not null,
  version_max integer not null,
  constraint watermarks_pkey primary key (stream_id, partition_number),
  constraint watermarks_stream foreign key (stream_id) references streams (id)
) strict;

create table destinations (
  name text not null,
  paused integer not null default 0,
  paused_reason text,
  paused_by text,
  paused_at integer,
  first_seen_at integer not null,
  constraint destinations_pkey primary key (name),
  constraint destinations_paused_since check (paused = (paused_at is not null))
) strict;

-- What replicas say of themselves every 2 s, for display. Nothing in the relay decides by it.
create table replicas (
  replica text not null,
  destination text not null,
  state text not null,
  held_reason text,
  lag_seconds real not null,
  in_flight integer not null,
  seen_at integer not null,
  constraint replicas_pkey primary key (replica, destination),
  constraint replicas_state_known check (
    state in ('active', 'held', 'open', 'half_open', 'paused', 'disabled', 'unconfigured')
  )
) strict;

create table mappings (
  destination text not null,
  source text not null,
  model text not null,
  fingerprint integer not null,
  version_max integer not null,
  last_seen_at integer not null,
  constraint mappings_pkey primary key (destination, source, model, fingerprint)
) strict;

-- Retries of many deliveries at once, asked for by a person; one goes on at its cursor after a restart.
create table retries (
  id integer not null,
  filter text not null,
  state text not null,
  discard integer not null,
  reason text,
  rate integer,
  matching integer not null default 0,
  sent integer not null default 0,
  delivered integer not null default 0,
  failed integer not null default 0,
  superseded integer not null default 0,
  cursor integer not null default 0,
  requested_by text not null,
  requested_at integer not null,
  finished_at integer,
  constraint retries_pkey primary key (id),
  constraint retries_state_known check (state in ('running', 'succeeded', 'cancelled')),
  constraint retries_finished_unless_running check ((finished_at is null) = (state = 'running'))
) strict;

create table audit (
  id integer not null,
  at integer not null,
  token_name text not null,
  action text not null,
  target text not null,
  detail text,
  constraint audit_pkey primary key (id)
) strict;

create table idempotency_keys (
  key text not null,
  body_hash blob not null,
  response text not null,
  expires_at integer not null,
  constraint idempotency_keys_pkey primary key (key)
) strict;

create index idempotency_keys_expired on idempotency_keys (expires_at);
