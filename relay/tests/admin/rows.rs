//! What the store of a test holds.

use std::sync::Arc;
use std::time::Duration;

use relay_core::exchange::{ErrorClass, Timings};
use relay_core::names::{Coordinates, DeliveryId, KeyHash, Operation, Stream};
use relay_core::rows::{
    AttemptRow, Batch, Cause, ExchangeRow, HomePartition, Outcome, ParkedChange, ParkedReason,
    ParkedRow, ParkedState, RecordName, Subject,
};
use relay_core::time::Timestamp;
use replicates_relay::clock::Clock;

/// A moment of this test run, whole in microseconds as the stores keep it.
fn now() -> Timestamp {
    Timestamp::from_microsecond(Clock::start().now().wall.as_microsecond()).unwrap()
}

fn subject(key: &str, version: u64) -> Subject {
    let stream = Arc::new(Stream {
        destination: "billing".into(),
        source: "monolith".into(),
        model: "Vehicle".into(),
    });
    Subject {
        destination: "billing".into(),
        id: DeliveryId {
            key_hash: KeyHash::of_key(&stream, key),
            version,
        },
        record: Some(RecordName {
            stream,
            key: key.into(),
            operation: Operation::Update,
        }),
    }
}

pub fn id(key: &str, version: u64) -> String {
    subject(key, version).id.to_string()
}

fn coordinates(version: u64) -> Coordinates {
    Coordinates {
        topic: "replicates_to.monolith.billing.Vehicle".into(),
        partition: 3,
        offset: version.cast_signed(),
    }
}

/// A record that waits for a retry.
pub fn parked(key: &str, version: u64) -> ParkedRow {
    ParkedRow {
        subject: subject(key, version),
        record: Some(Arc::from(&b"record"[..])),
        state: ParkedState::Parked {
            reason: ParkedReason::Retry,
            next_attempt_at: now() + Duration::from_secs(60),
        },
        attempts: 3,
        charged: 2,
        committed_at: Some(now()),
        first_failed_at: now(),
        last_failed_at: now(),
        last_status: Some(500),
        error_class: Some(ErrorClass::Http5xx),
        error: "answered 500".into(),
        coordinates: coordinates(version),
        home: HomePartition {
            number: coordinates(version).partition,
            of: None,
        },
    }
}

/// A record that waits for a person.
pub fn rejected(key: &str, version: u64) -> ParkedRow {
    ParkedRow {
        state: ParkedState::Rejected,
        attempts: 1,
        last_status: Some(422),
        error_class: Some(ErrorClass::Http4xx),
        error: "answered 422".into(),
        ..parked(key, version)
    }
}

/// A delivered attempt, `age` ago.
pub fn delivered(key: &str, version: u64, age: Duration) -> AttemptRow {
    AttemptRow {
        retention: Duration::from_secs(86_400),
        attempted_at: now() - age,
        subject: subject(key, version),
        attempt: 1,
        cause: Cause::Live,
        outcome: Outcome::Delivered,
        status: Some(200),
        error_class: None,
        error: None,
        exchange: Some(ExchangeRow {
            method: "POST",
            url: "http://billing/".into(),
            request_headers: Some(r#"{"x-api-key":"***"}"#.into()),
            request_body: Some(b"{\"id\":1}".to_vec()),
            response_headers: Some("{}".into()),
            response_body: Some(vec![0xff, 0x00]),
            timings: Timings {
                connect_ms: None,
                first_byte_ms: Some(1.5),
                total_ms: 2.25,
            },
        }),
        batch_id: None,
        coordinates: coordinates(version),
    }
}

/// The same, answered with 500.
pub fn failed(key: &str, version: u64) -> AttemptRow {
    AttemptRow {
        outcome: Outcome::Retryable,
        status: Some(500),
        error_class: Some(ErrorClass::Http5xx),
        error: Some("answered 500".into()),
        ..delivered(key, version, Duration::ZERO)
    }
}

/// Everything in one transaction.
pub fn batch(attempts: Vec<AttemptRow>, parked: Vec<ParkedRow>) -> Batch {
    Batch {
        attempts,
        parked: parked
            .into_iter()
            .map(|row| ParkedChange::Keep(Box::new(row)))
            .collect(),
        ..Batch::default()
    }
}
