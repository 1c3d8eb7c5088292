//! Writing the log, and forgetting what has expired.

use relay_core::exchange::ErrorClass;
use relay_core::rows::AttemptRow;
use relay_core::time::{Timestamp, saturating_add};
use sqlx::SqliteConnection;

use crate::store::body::BodyEncoder;
use crate::store::text::storable;
use crate::store::words::signed;

/// Adds a row.
pub(super) async fn insert(
    connection: &mut SqliteConnection,
    row: &AttemptRow,
    now: Timestamp,
    replica: &str,
    bodies: &mut BodyEncoder,
) -> Result<(), sqlx::Error> {
    let record = row.subject.record.as_ref();
    let exchange = row.exchange.as_ref();
    let stored = bodies.encode(
        exchange.and_then(|exchange| exchange.request_body.as_deref()),
        exchange.and_then(|exchange| exchange.response_body.as_deref()),
    );
    let timings = exchange.map(|exchange| exchange.timings);
    sqlx::query(INSERT)
        .bind(saturating_add(now, row.retention).as_microsecond())
        .bind(row.attempted_at.as_microsecond())
        .bind(storable(&row.subject.destination))
        .bind(record.map(|record| storable(&record.stream.source)))
        .bind(record.map(|record| storable(&record.stream.model)))
        .bind(record.map(|record| storable(&record.key)))
        .bind(&row.subject.id.key_hash.0[..])
        .bind(signed(row.subject.id.version))
        .bind(record.map(|record| record.operation.as_str()))
        .bind(row.attempt)
        .bind(row.cause.as_str())
        .bind(row.outcome.as_str())
        .bind(row.status)
        .bind(row.error_class.map(ErrorClass::as_str))
        .bind(row.error.as_deref().map(storable))
        .bind(exchange.map(|exchange| exchange.method))
        .bind(exchange.map(|exchange| storable(&exchange.url)))
        .bind(exchange.and_then(|exchange| exchange.request_headers.as_deref().map(storable)))
        .bind(stored.request.as_deref())
        .bind(exchange.and_then(|exchange| exchange.response_headers.as_deref().map(storable)))
        .bind(stored.response.as_deref())
        .bind(stored.encoding.as_str())
        .bind(timings.and_then(|timings| timings.connect_ms))
        .bind(timings.and_then(|timings| timings.first_byte_ms))
        .bind(timings.map(|timings| timings.total_ms))
        .bind(storable(&row.coordinates.topic))
        .bind(row.coordinates.partition)
        .bind(row.coordinates.offset)
        .bind(row.batch_id.as_deref())
        .bind(replica)
        .execute(connection)
        .await?;
    Ok(())
}

const INSERT: &str = "
  insert into attempts (
    expires_at, attempted_at, destination, source, model, key, key_hash, version, operation, attempt, cause, outcome,
    status, error_class, error, method, url, request_headers, request_body, response_headers, response_body,
    body_encoding, connect_ms, first_byte_ms, total_ms, topic, partition_number, offset_number, batch_id,
    replica
  )
  values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
";

/// Rows deleted by one statement: the only writer must not be held up for long.
pub(super) const SLICE: u32 = 1_000;

/// Deletes a slice of what has expired; how many rows that were.
pub(super) async fn delete_expired(
    connection: &mut SqliteConnection,
    now: Timestamp,
) -> Result<u64, sqlx::Error> {
    let deleted = sqlx::query(
        "delete from attempts where rowid in (select rowid from attempts where expires_at <= ? limit ?)",
    )
    .bind(now.as_microsecond())
    .bind(SLICE)
    .execute(connection)
    .await?;
    Ok(deleted.rows_affected())
}

/// Forgets answers that have expired, and replicas that have not spoken for a day.
pub(super) async fn delete_forgotten(
    connection: &mut SqliteConnection,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    const DAY_MICROSECONDS: i64 = 86_400_000_000;
    sqlx::query("delete from idempotency_keys where expires_at <= ?")
        .bind(now.as_microsecond())
        .execute(&mut *connection)
        .await?;
    sqlx::query("delete from replicas where seen_at < ?")
        .bind(now.as_microsecond() - DAY_MICROSECONDS)
        .execute(connection)
        .await?;
    Ok(())
}
