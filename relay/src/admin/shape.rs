//! Deliveries and attempts as JSON.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use relay_core::exchange::ErrorClass;
use relay_core::names::Coordinates;
use relay_core::rows::{ParkedState, Subject};
use relay_core::time::{Timestamp, rfc3339};
use serde_json::{Map, Value, json};

use crate::config::Config;
use crate::store::{Attempt, Delivery, DeliveryState, LoggedExchange};

/// A delivery. `max_retries` is what the configuration says now; none for a destination that it does not have.
pub fn delivery(delivery: &Delivery, config: &Config) -> Value {
    let mut json = subject(&delivery.subject);
    let (reason, next_attempt_at) = match delivery.state {
        DeliveryState::Undelivered(ParkedState::Parked {
            reason,
            next_attempt_at,
        }) => (Some(reason.as_str()), Some(next_attempt_at)),
        _ => (None, None),
    };
    for (name, value) in [
        ("state", json!(delivery.state.as_str())),
        ("reason", json!(reason)),
        ("attempts", json!(delivery.attempts)),
        ("max_retries", json!(max_retries(&delivery.subject, config))),
        ("next_attempt_at", time(next_attempt_at)),
        ("first_failed_at", time(delivery.first_failed_at)),
        ("last_failed_at", time(delivery.last_failed_at)),
        ("last_status", json!(delivery.last_status)),
        (
            "error_class",
            json!(delivery.error_class.map(ErrorClass::as_str)),
        ),
        ("error", json!(delivery.error)),
        ("kafka", kafka(&delivery.coordinates)),
    ] {
        json.insert(name.to_owned(), value);
    }
    Value::Object(json)
}

/// An attempt, masked as it was when it was logged.
pub fn attempt(attempt: &Attempt) -> Value {
    let mut json = subject(&attempt.subject);
    for (name, value) in [
        ("attempt", json!(attempt.attempt)),
        ("cause", json!(attempt.cause.as_str())),
        ("outcome", json!(attempt.outcome.as_str())),
        ("status", json!(attempt.status)),
        (
            "error_class",
            json!(attempt.error_class.map(ErrorClass::as_str)),
        ),
        ("error", json!(attempt.error)),
        ("attempted_at", time(Some(attempt.attempted_at))),
        ("expires_at", time(Some(attempt.expires_at))),
        ("request", json!(attempt.exchange.as_ref().map(request))),
        ("response", json!(attempt.exchange.as_ref().map(response))),
        ("timings", json!(attempt.exchange.as_ref().map(timings))),
        ("kafka", kafka(&attempt.coordinates)),
        ("batch_id", json!(attempt.batch_id)),
        ("replica", json!(attempt.replica)),
    ] {
        json.insert(name.to_owned(), value);
    }
    Value::Object(json)
}

/// RFC 3339, or null.
pub fn time(timestamp: Option<Timestamp>) -> Value {
    json!(timestamp.map(rfc3339))
}

fn subject(subject: &Subject) -> Map<String, Value> {
    let record = subject.record.as_ref();
    [
        ("id", json!(subject.id.to_string())),
        ("destination", json!(*subject.destination)),
        ("source", json!(record.map(|record| &*record.stream.source))),
        ("model", json!(record.map(|record| &*record.stream.model))),
        ("key", json!(record.map(|record| &*record.key))),
        ("version", json!(subject.id.version)),
        (
            "operation",
            json!(record.map(|record| record.operation.as_str())),
        ),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into_iter()
    .collect()
}

fn max_retries(subject: &Subject, config: &Config) -> Option<u32> {
    let destination = config
        .destinations
        .iter()
        .find(|destination| destination.name == subject.destination)?;
    let route = match &subject.record {
        Some(record) => destination.route_of(&record.stream.model),
        None => &destination.route,
    };
    Some(route.retry.max_retries)
}

fn kafka(coordinates: &Coordinates) -> Value {
    json!({
        "topic": *coordinates.topic,
        "partition": coordinates.partition,
        "offset": coordinates.offset,
    })
}

fn request(exchange: &LoggedExchange) -> Value {
    let mut json = message(
        exchange.request_headers.as_deref(),
        exchange.request_body.as_deref(),
    );
    json["method"] = json!(exchange.method);
    json["url"] = json!(exchange.url);
    json
}

fn response(exchange: &LoggedExchange) -> Value {
    message(
        exchange.response_headers.as_deref(),
        exchange.response_body.as_deref(),
    )
}

/// Headers and body; a body that is not text comes as base64.
fn message(headers: Option<&str>, body: Option<&[u8]>) -> Value {
    let headers: Option<Value> = headers.and_then(|text| serde_json::from_str(text).ok());
    let (body, encoding) = match body {
        None => (None, None),
        Some(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => (Some(text.to_owned()), Some("utf-8")),
            Err(_) => (Some(STANDARD.encode(bytes)), Some("base64")),
        },
    };
    json!({ "headers": headers, "body": body, "body_encoding": encoding })
}

fn timings(exchange: &LoggedExchange) -> Value {
    json!({
        "connect_ms": exchange.timings.connect_ms,
        "first_byte_ms": exchange.timings.first_byte_ms,
        "total_ms": exchange.timings.total_ms,
    })
}
