-- The relay's store: the log of every attempt, the ledger of what each destination acknowledged, the undelivered
-- records, and what operators and replicas leave for each other.
--
-- Log, ledger, watermarks and parked rows are written in one transaction; the Kafka offset is committed after it.

-- The log. Partitioned by expiry, so that any mix of retentions is one act: the oldest partition goes. There is no
-- DEFAULT partition (nobody could ever shrink it), hence `expires_at` is clamped into the partitions that exist. The
-- relay makes them ahead of time as tables of their own and attaches them: making one in place waits for every reader.
create table attempts (
  expires_at timestamptz not null,
  attempted_at timestamptz not null,
  destination text not null,
  source text,
  model text,
  key text,
  key_hash uuid not null,
  version bigint not null,
  operation text,
  attempt integer not null,
  cause text not null,
  outcome text not null,
  status smallint,
  error_class text,
  error text,
  method text,
  url text,
  request_headers text,
  request_body bytea,
  response_headers text,
  response_body bytea,
  body_encoding text not null,
  connect_ms real,
  first_byte_ms real,
  total_ms real,
  topic text not null,
  partition_number integer not null,
  offset_number bigint not null,
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
  constraint attempts_record_named_or_unreadable check (num_nulls(source, model, key, operation) in (0, 4))
) partition by range (expires_at);

comment on table attempts is 'The log: every attempt, and one row (attempt 0) of every record that ended without one.';
comment on column attempts.expires_at is 'Database time of the write + retention of destination and outcome.';
comment on column attempts.key_hash is 'First 16 bytes of SHA-256 of destination LF source LF model LF key.';
comment on column attempts.attempt is 'Counts all attempts of the delivery; 0 for a record that ended without a request.';
comment on column attempts.body_encoding is 'Of both bodies; none when neither was kept.';
comment on column attempts.batch_id is 'The request that carried it with others; null for a single record.';

create index attempts_key on attempts (key_hash, version);
create index attempts_failed on attempts (destination, attempted_at)
  where outcome in ('retryable', 'rejected', 'quarantined', 'discarded');
create index attempts_attempted_at on attempts using brin (attempted_at);

-- All undelivered records. A row is retried only by the replica that owns its partition, so nothing is claimed or
-- locked. Rows never expire; they go when the delivery ends.
create table parked (
  id bigint generated always as identity,
  key_hash uuid not null,
  destination text not null,
  source text,
  model text,
  key text,
  version bigint not null,
  operation text,
  record bytea,
  state text not null,
  reason text,
  attempts integer not null,
  charged integer not null,
  next_attempt_at timestamptz,
  first_failed_at timestamptz not null,
  last_failed_at timestamptz not null,
  last_status smallint,
  error_class text,
  error text not null,
  topic text not null,
  partition_number integer not null,
  offset_number bigint not null,
  constraint parked_pkey primary key (id),
  constraint parked_delivery unique (key_hash, version),
  constraint parked_version_exact check (version >= 0 and version < 9007199254740992),
  constraint parked_operation_known check (operation in ('create', 'update', 'delete', 'snapshot')),
  constraint parked_state_known check (state in ('parked', 'exhausted', 'rejected', 'quarantined')),
  constraint parked_reason_known check (reason in ('retry', 'probe', 'manual')),
  constraint parked_reason_iff_parked check ((reason is not null) = (state = 'parked')),
  constraint parked_due_iff_parked check ((next_attempt_at is not null) = (state = 'parked')),
  constraint parked_attempts_counted check (charged >= 0 and attempts >= 0),
  constraint parked_record_named_or_unreadable check (num_nulls(source, model, key, operation) in (0, 4))
);

comment on table parked is 'Undelivered records: waiting for a retry (parked) or for a person (exhausted, rejected, quarantined).';
comment on column parked.record is 'The Kafka value as read, sensitive values in full; null when it was null.';
comment on column parked.key_hash is 'As in attempts; of destination LF topic LF partition LF offset, version 0, without a readable key.';
comment on column parked.reason is 'retry: its own failures; probe: it was the probe of an open breaker; manual: a person asked.';
comment on column parked.charged is 'Attempts that spent budget; max_retries + 1 of them exhaust the delivery.';

create index parked_due on parked (topic, partition_number, next_attempt_at);
-- Owners look for manual retries every second: the index holds nothing else.
create index parked_manual on parked (topic, partition_number) where reason = 'manual';
-- Counts by state and the oldest waiting record, both without touching the table.
create index parked_waiting on parked (destination, state, first_failed_at);
create index parked_newest on parked (destination, id);

-- A small number for each stream, so that ledger rows stay small.
create table streams (
  id integer generated always as identity,
  destination text not null,
  source text not null,
  model text not null,
  constraint streams_pkey primary key (id),
  constraint streams_name unique (destination, source, model)
);

-- Per key the last acknowledged version. No other index than the primary key, a fillfactor that leaves room for HOT
-- updates, and no foreign key: its lock on one streams row would be taken by every insert.
create table ledger (
  stream_id integer not null,
  key_hash uuid not null,
  key text not null,
  version bigint not null,
  content_hash bytea not null,
  mapping_fingerprint bigint not null,
  deleted boolean not null,
  suspect boolean not null,
  acknowledged_at timestamptz not null,
  committed_at timestamptz not null,
  constraint ledger_pkey primary key (stream_id, key_hash),
  constraint ledger_version_exact check (version >= 0 and version < 9007199254740992),
  constraint ledger_content_hash_whole check (octet_length(content_hash) = 16)
) with (fillfactor = 75);

comment on table ledger is 'What each destination acknowledged last, by key.';
comment on column ledger.mapping_fingerprint is 'The 64 bits of the record''s fingerprint, read as a signed number.';
comment on column ledger.deleted is 'The last acknowledged version was a delete; the row stays, so that nothing older resurrects the key.';
comment on column ledger.suspect is 'The consumer may hold another version than the ledger; verify treats the key as different.';

-- The highest acknowledged version of a stream's partition: a record above it cannot be stale.
create table watermarks (
  stream_id integer not null,
  partition_number integer not null,
  version_max bigint not null,
  constraint watermarks_pkey primary key (stream_id, partition_number),
  constraint watermarks_stream foreign key (stream_id) references streams (id)
);

create table destinations (
  name text not null,
  paused boolean not null default false,
  paused_reason text,
  paused_by text,
  paused_at timestamptz,
  first_seen_at timestamptz not null,
  constraint destinations_pkey primary key (name),
  constraint destinations_paused_since check (paused = (paused_at is not null))
);

comment on column destinations.paused is 'By an operator; breaker and holds live in each replica.';

-- What replicas say of themselves every 2 s, for display. Nothing in the relay decides by it.
create table replicas (
  replica text not null,
  destination text not null,
  state text not null,
  held_reason text,
  lag_seconds double precision not null,
  in_flight integer not null,
  seen_at timestamptz not null,
  constraint replicas_pkey primary key (replica, destination),
  constraint replicas_state_known check (
    state in ('active', 'held', 'open', 'half_open', 'paused', 'disabled', 'unconfigured')
  )
);

create table mappings (
  destination text not null,
  source text not null,
  model text not null,
  fingerprint bigint not null,
  version_max bigint not null,
  last_seen_at timestamptz not null,
  constraint mappings_pkey primary key (destination, source, model, fingerprint)
);

-- Retries of many deliveries at once, asked for by a person; one goes on at its cursor after a restart.
create table retries (
  id bigint generated always as identity,
  filter text not null,
  state text not null,
  discard boolean not null,
  reason text,
  rate integer,
  matching bigint not null default 0,
  sent bigint not null default 0,
  delivered bigint not null default 0,
  failed bigint not null default 0,
  superseded bigint not null default 0,
  cursor bigint not null default 0,
  requested_by text not null,
  requested_at timestamptz not null,
  finished_at timestamptz,
  constraint retries_pkey primary key (id),
  constraint retries_state_known check (state in ('running', 'succeeded', 'cancelled')),
  constraint retries_finished_unless_running check ((finished_at is null) = (state = 'running'))
);

comment on column retries.filter is 'JSON, as asked for.';
comment on column retries.cursor is 'parked.id up to which it has come.';

create table audit (
  id bigint generated always as identity,
  at timestamptz not null,
  token_name text not null,
  action text not null,
  target text not null,
  detail text,
  constraint audit_pkey primary key (id)
);

comment on table audit is 'Every change made through the admin API, and the name of the token that made it.';

create table idempotency_keys (
  key text not null,
  body_hash bytea not null,
  response text not null,
  expires_at timestamptz not null,
  constraint idempotency_keys_pkey primary key (key)
);

create index idempotency_keys_expired on idempotency_keys (expires_at);
