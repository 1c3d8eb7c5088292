//! Writing the log.

use relay_core::exchange::ErrorClass;
use relay_core::rows::{AttemptRow, RecordName};
use relay_core::time::{Timestamp, saturating_add};
use sqlx::PgConnection;

use super::copy::CopyBuffer;
use super::ranges::Ranges;
use crate::store::StoreError;
use crate::store::body::{BodyEncoder, Encoding};
use crate::store::words::{counted, signed};

const COPY: &str = "copy attempts (
  expires_at, attempted_at, destination, source, model, key, key_hash, version, operation, attempt, cause, outcome,
  status, error_class, error, method, url, request_headers, request_body, response_headers, response_body,
  body_encoding, connect_ms, first_byte_ms, total_ms, topic, partition_number, offset_number, batch_id,
  replica
) from stdin (format binary)";

/// Columns of [`COPY`]. `trace_id` is null: there are no traces to name.
const FIELDS: i16 = 30;

/// What a row takes without bodies, about.
const ROW_BYTES: usize = 512;

/// What a row needs besides itself.
pub(super) struct Stamp<'a> {
    /// The database's clock.
    pub now: Timestamp,
    pub ranges: &'a Ranges,
    pub replica: &'a str,
}

/// The rows as COPY takes them.
///
/// # Errors
/// [`StoreError::NoPartition`] when there is none at all.
pub(super) fn encode(
    rows: &[AttemptRow],
    stamp: &Stamp<'_>,
    bodies: &mut BodyEncoder,
) -> Result<Vec<u8>, StoreError> {
    let mut copy = CopyBuffer::with_capacity(rows.len() * ROW_BYTES);
    for row in rows {
        let expires_at = stamp
            .ranges
            .clamp(saturating_add(stamp.now, row.retention))
            .ok_or(StoreError::NoPartition)?;
        copy.row(FIELDS);
        copy.moment(expires_at);
        encode_attempt(&mut copy, row);
        encode_exchange(&mut copy, row, bodies);
        copy.text(&row.coordinates.topic);
        copy.int4(row.coordinates.partition);
        copy.int8(row.coordinates.offset);
        copy.optional(row.batch_id.as_deref(), CopyBuffer::text);
        copy.text(stamp.replica);
    }
    Ok(copy.finish())
}

fn encode_attempt(copy: &mut CopyBuffer, row: &AttemptRow) {
    let record = row.subject.record.as_ref();
    let name = |part: fn(&RecordName) -> &str| record.map(part);
    copy.moment(row.attempted_at);
    copy.text(&row.subject.destination);
    copy.optional(name(|record| &record.stream.source), CopyBuffer::text);
    copy.optional(name(|record| &record.stream.model), CopyBuffer::text);
    copy.optional(name(|record| &record.key), CopyBuffer::text);
    copy.key_hash(row.subject.id.key_hash);
    copy.int8(signed(row.subject.id.version));
    copy.optional(name(|record| record.operation.as_str()), CopyBuffer::text);
    copy.int4(counted(row.attempt));
    copy.text(row.cause.as_str());
    copy.text(row.outcome.as_str());
    copy.optional(row.status, |copy, status| copy.int2(status.cast_signed()));
    copy.optional(row.error_class.map(ErrorClass::as_str), CopyBuffer::text);
    copy.optional(row.error.as_deref(), CopyBuffer::text);
}

fn encode_exchange(copy: &mut CopyBuffer, row: &AttemptRow, bodies: &mut BodyEncoder) {
    let Some(exchange) = &row.exchange else {
        for _ in ["method", "url", "request_headers", "request_body"] {
            copy.null();
        }
        for _ in ["response_headers", "response_body"] {
            copy.null();
        }
        copy.text(Encoding::None.as_str());
        for _ in ["connect_ms", "first_byte_ms", "total_ms"] {
            copy.null();
        }
        return;
    };
    let stored = bodies.encode(
        exchange.request_body.as_deref(),
        exchange.response_body.as_deref(),
    );
    copy.text(exchange.method);
    copy.text(&exchange.url);
    copy.optional(exchange.request_headers.as_deref(), CopyBuffer::text);
    copy.optional(stored.request.as_deref(), CopyBuffer::bytes);
    copy.optional(exchange.response_headers.as_deref(), CopyBuffer::text);
    copy.optional(stored.response.as_deref(), CopyBuffer::bytes);
    copy.text(stored.encoding.as_str());
    copy.optional(exchange.timings.connect_ms, CopyBuffer::float4);
    copy.optional(exchange.timings.first_byte_ms, CopyBuffer::float4);
    copy.float4(exchange.timings.total_ms);
}

/// Sends encoded rows.
pub(super) async fn copy_rows(
    connection: &mut PgConnection,
    encoded: &[u8],
) -> Result<(), sqlx::Error> {
    let mut copy = connection.copy_in_raw(COPY).await?;
    copy.send(encoded).await?;
    copy.finish().await?;
    Ok(())
}
