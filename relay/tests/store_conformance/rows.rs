//! Rows to keep: plain ones, which tests change where it matters.

use std::sync::Arc;
use std::time::Duration;

use relay_core::exchange::{ErrorClass, Timings};
use relay_core::names::{
    ContentHash, Coordinates, DeliveryId, KeyHash, Operation, Partition, Stream,
};
use relay_core::rows::{
    AttemptRow, Cause, ExchangeRow, HomePartition, LedgerEntry, Outcome, ParkedChange,
    ParkedReason, ParkedRow, ParkedState, RecordName, Subject, Watermark,
};
use relay_core::time::Timestamp;

pub const HOUR: Duration = Duration::from_secs(3_600);

/// A moment of this test run; what is logged at it is recent.
#[expect(
    clippy::disallowed_methods,
    reason = "the databases' clocks cannot be set, so rows are logged by the same clock"
)]
pub fn now() -> Timestamp {
    let micros = Timestamp::now().as_microsecond();
    Timestamp::from_microsecond(micros).unwrap()
}

pub fn stream() -> Arc<Stream> {
    stream_of("billing", "Vehicle")
}

pub fn stream_of(destination: &str, model: &str) -> Arc<Stream> {
    Arc::new(Stream {
        destination: destination.into(),
        source: "monolith".into(),
        model: model.into(),
    })
}

pub fn partition() -> Partition {
    Partition {
        topic: "replicates_to.monolith.billing.Vehicle".into(),
        number: 3,
    }
}

pub fn subject(stream: &Arc<Stream>, key: &str, version: u64) -> Subject {
    Subject {
        destination: stream.destination.clone(),
        id: id(stream, key, version),
        record: Some(RecordName {
            stream: stream.clone(),
            key: key.into(),
            operation: Operation::Update,
        }),
    }
}

pub fn id(stream: &Stream, key: &str, version: u64) -> DeliveryId {
    DeliveryId {
        key_hash: KeyHash::of_key(stream, key),
        version,
    }
}

pub fn coordinates(offset: i64) -> Coordinates {
    let Partition { topic, number } = partition();
    Coordinates {
        topic,
        partition: number,
        offset,
    }
}

/// A delivered attempt without bodies.
pub fn attempt(key: &str, version: u64) -> AttemptRow {
    attempt_of(&stream(), key, version)
}

pub fn attempt_of(stream: &Arc<Stream>, key: &str, version: u64) -> AttemptRow {
    AttemptRow {
        retention: HOUR,
        attempted_at: now(),
        subject: subject(stream, key, version),
        attempt: 1,
        cause: Cause::Live,
        outcome: Outcome::Delivered,
        status: Some(200),
        error_class: None,
        error: None,
        exchange: Some(exchange()),
        batch_id: None,
        coordinates: coordinates(version.cast_signed()),
    }
}

/// The same with status 500.
pub fn failed(key: &str, version: u64) -> AttemptRow {
    AttemptRow {
        outcome: Outcome::Retryable,
        status: Some(500),
        error_class: Some(ErrorClass::Http5xx),
        error: Some("answered 500".into()),
        ..attempt(key, version)
    }
}

pub fn exchange() -> ExchangeRow {
    ExchangeRow {
        method: "POST",
        url: "http://billing.internal/replicates_to".into(),
        request_headers: None,
        request_body: None,
        response_headers: None,
        response_body: None,
        timings: Timings {
            connect_ms: None,
            first_byte_ms: Some(1.5),
            total_ms: 2.25,
        },
    }
}

pub fn entry(key: &str, version: u64) -> LedgerEntry {
    entry_of(&stream(), key, version)
}

pub fn entry_of(stream: &Arc<Stream>, key: &str, version: u64) -> LedgerEntry {
    LedgerEntry {
        stream: stream.clone(),
        key_hash: KeyHash::of_key(stream, key),
        key: key.into(),
        version,
        content_hash: ContentHash([version.to_le_bytes()[0]; 16]),
        mapping_fingerprint: u64::MAX - version,
        is_deleted: false,
        is_suspect: false,
        acknowledged_at: now(),
        committed_at: now(),
    }
}

pub fn watermark(partition: i32, version_max: u64) -> Watermark {
    Watermark {
        stream: stream(),
        partition,
        version_max,
        offset_max: None,
    }
}

/// A record of the test's partition that waits for a retry.
pub fn parked(key: &str, version: u64) -> ParkedRow {
    parked_of(&stream(), key, version)
}

pub fn parked_of(stream: &Arc<Stream>, key: &str, version: u64) -> ParkedRow {
    ParkedRow {
        subject: subject(stream, key, version),
        record: Some(Arc::from(&b"\x0a\x00\xff record"[..])),
        state: waiting(ParkedReason::Retry),
        attempts: 3,
        charged: 2,
        committed_at: Some(now()),
        first_failed_at: now(),
        last_failed_at: now(),
        last_status: Some(500),
        error_class: Some(ErrorClass::Http5xx),
        error: "answered 500".into(),
        coordinates: coordinates(version.cast_signed()),
        home: HomePartition {
            number: partition().number,
            of: Some(8),
        },
    }
}

pub fn waiting(reason: ParkedReason) -> ParkedState {
    ParkedState::Parked {
        reason,
        next_attempt_at: now() + Duration::from_secs(60),
    }
}

pub fn keep(row: ParkedRow) -> ParkedChange {
    ParkedChange::Keep(Box::new(row))
}
