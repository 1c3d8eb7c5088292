//! `/healthz`, `/readyz`, `/metrics`: for machines, without a token.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::Context;
use super::destinations::COUNT_MAX;

/// Shorter than the patience of those who probe.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Whether the loops turn.
pub async fn healthz(State(context): State<Arc<Context>>) -> Response {
    let silent = context.status.silent_loops(context.clock.now());
    if silent.is_empty() {
        return Json(json!({ "status": "ok" })).into_response();
    }
    let loops: Vec<_> = silent
        .iter()
        .map(|(name, silence)| json!({ "name": name, "silent_seconds": silence.as_secs() }))
        .collect();
    let body = json!({ "status": "stuck", "loops": loops });
    (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
}

/// Whether this replica does its work. A dead destination never makes it unready.
pub async fn readyz(State(context): State<Arc<Context>>) -> Response {
    let store = &context.store;
    let partitions = async {
        let partitions = store
            .partitions()
            .await
            .map_err(|error| error.to_string())?;
        if partitions.next_is_missing {
            return Err("the next partition of the log is missing".to_owned());
        }
        Ok(())
    };
    let checks = [
        ("store", within_time(store.ping()).await),
        ("migrations", within_time(store.require_migrated()).await),
        ("partitions", within_time(partitions).await),
        ("kafka", context.status.kafka_problem().map_or(Ok(()), Err)),
    ];
    let is_ready = checks.iter().all(|(_, result)| result.is_ok());
    let status = if context.status.is_draining() {
        "draining"
    } else if is_ready {
        "ready"
    } else {
        "not_ready"
    };
    let code = if status == "ready" {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let checks: Vec<Value> = checks.into_iter().map(check).collect();
    (code, Json(json!({ "status": status, "checks": checks }))).into_response()
}

/// All metrics. While the store is away, the counts of undelivered records are those that were counted last.
pub async fn metrics(State(context): State<Arc<Context>>) -> Response {
    let destinations = context.status.destinations();
    for (name, status) in &destinations {
        context.metrics.destination(name, status);
        let counted = within_time(context.store.count_undelivered(name, COUNT_MAX));
        if let Ok(counts) = counted.await {
            context.metrics.undelivered(name, counts);
        }
    }
    context
        .metrics
        .kafka_lag(destinations.iter().map(|(name, status)| (&**name, status)));
    match context.metrics.encode() {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

async fn within_time<T, E: Display>(
    check: impl Future<Output = Result<T, E>>,
) -> Result<T, String> {
    match timeout(CHECK_TIMEOUT, check).await {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {CHECK_TIMEOUT:?}")),
    }
}

fn check((name, result): (&str, Result<(), String>)) -> Value {
    match result {
        Ok(()) => json!({ "name": name, "ok": true }),
        Err(message) => json!({ "name": name, "ok": false, "message": message }),
    }
}
