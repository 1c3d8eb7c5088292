//! `/destinations`: how each one is doing, on all replicas.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::answer::ApiError;
use super::parameters::Parameters;
use super::{Context, shape};
use crate::nearest;
use crate::status::DestinationStatus;
use crate::store::{ReplicaRow, ReplicaState};

/// What another replica said longer ago is not shown.
const REPLICA_AGE_MAX: Duration = Duration::from_secs(10);

/// Counting undelivered records stops here, so that asking stays cheap.
pub const COUNT_MAX: u64 = 1_000_000;

pub async fn list(
    State(context): State<Arc<Context>>,
    parameters: Parameters,
) -> Result<Json<Value>, ApiError> {
    parameters.finish()?;
    let replicas = context.store.replicas(REPLICA_AGE_MAX).await?;
    let mut rows = Vec::new();
    for (name, status) in all(&context).await? {
        rows.push(describe(&context, &name, &status, &replicas).await?);
    }
    Ok(Json(json!({ "destinations": rows, "next_cursor": null })))
}

pub async fn show(
    State(context): State<Arc<Context>>,
    Path(name): Path<String>,
    parameters: Parameters,
) -> Result<Json<Value>, ApiError> {
    parameters.finish()?;
    let status = require(&context, &name).await?;
    let replicas = context.store.replicas(REPLICA_AGE_MAX).await?;
    Ok(Json(describe(&context, &name, &status, &replicas).await?))
}

/// How a destination is doing on this replica; an error with the nearest name when there is none of that name.
pub async fn require(context: &Context, name: &str) -> Result<DestinationStatus, ApiError> {
    let mut destinations = all(context).await?;
    destinations.remove(name).ok_or_else(|| {
        let hint = nearest::hint(name, destinations.keys().map(|name| &**name));
        ApiError::not_found(format!("there is no destination {name:?}{hint}"))
    })
}

/// Those that are configured, and those that the store has met: what they left undelivered is still there.
async fn all(context: &Context) -> Result<BTreeMap<Arc<str>, DestinationStatus>, ApiError> {
    let mut destinations: BTreeMap<_, _> = context.status.destinations().into_iter().collect();
    for name in context.store.destinations().await? {
        destinations
            .entry(name.into())
            .or_insert_with(|| DestinationStatus::idle(ReplicaState::Unconfigured, 0));
    }
    Ok(destinations)
}

async fn describe(
    context: &Context,
    name: &str,
    own: &DestinationStatus,
    replicas: &[ReplicaRow],
) -> Result<Value, ApiError> {
    let counts = context.store.count_undelivered(name, COUNT_MAX).await?;
    let mappings = context.store.mappings(name).await?;
    let mut max_version: BTreeMap<&str, u64> = BTreeMap::new();
    for mapping in &mappings {
        let version = max_version.entry(&mapping.source).or_default();
        *version = mapping.version_max.max(*version);
    }
    let mappings: Vec<_> = mappings
        .iter()
        .map(|mapping| {
            json!({
                "source": *mapping.source,
                "model": *mapping.model,
                "fingerprint": format!("{:016x}", mapping.fingerprint),
                "last_seen_at": shape::time(Some(mapping.last_seen_at)),
            })
        })
        .collect();
    let expiring: Vec<_> = own
        .expiring
        .iter()
        .map(|expiring| {
            json!({
                "topic": *expiring.partition.topic,
                "partition": expiring.partition.number,
                "age_seconds": expiring.age.as_secs_f64(),
                "retention_seconds": expiring.retention.as_secs_f64(),
            })
        })
        .collect();
    let group = together(&context.config().relay.name, name, own, replicas);
    Ok(json!({
        "name": name,
        "state": group.state.as_str(),
        "held_reason": group.held_reason,
        "late": is_late(own, group.lag_seconds),
        "lag_seconds": group.lag_seconds,
        "kafka_lag_seconds": own.kafka_lag_seconds,
        "kafka_lag_records": own.kafka_lag_records(),
        "expiring": expiring,
        "in_flight": group.in_flight,
        "concurrency_limit": own.concurrency_limit,
        "undelivered": {
            "parked": counts.parked,
            "exhausted": counts.exhausted,
            "rejected": counts.rejected,
            "quarantined": counts.quarantined,
        },
        "mappings": mappings,
        "max_version": max_version,
    }))
}

/// Whether a lag is longer than people want it to be.
fn is_late(own: &DestinationStatus, lag_seconds: f64) -> bool {
    own.lag_target
        .is_some_and(|target| lag_seconds > target.as_secs_f64())
}

/// The destination on all replicas: the state of the worst, the longest lag, all requests.
fn together(
    own_name: &str,
    destination: &str,
    own: &DestinationStatus,
    replicas: &[ReplicaRow],
) -> ReplicaRow {
    let mut group = ReplicaRow {
        replica: own_name.to_owned(),
        destination: destination.into(),
        state: own.state,
        held_reason: own.held_reason.clone(),
        lag_seconds: own.lag_seconds,
        in_flight: own.in_flight,
    };
    for other in replicas {
        // What this replica wrote of itself is older than what it knows.
        if other.replica == own_name || &*other.destination != destination {
            continue;
        }
        if badness(other.state) > badness(group.state) {
            group.state = other.state;
            group.held_reason.clone_from(&other.held_reason);
        }
        group.lag_seconds = group.lag_seconds.max(other.lag_seconds);
        group.in_flight = group.in_flight.saturating_add(other.in_flight);
    }
    group
}

fn badness(state: ReplicaState) -> u8 {
    match state {
        ReplicaState::Unconfigured => 0,
        ReplicaState::Disabled => 1,
        ReplicaState::Active => 2,
        ReplicaState::Paused => 3,
        ReplicaState::HalfOpen => 4,
        ReplicaState::Held => 5,
        ReplicaState::Open => 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(replica: &str, state: ReplicaState, lag_seconds: f64) -> ReplicaRow {
        ReplicaRow {
            replica: replica.to_owned(),
            destination: "billing".into(),
            state,
            held_reason: Some(format!("said by {replica}")),
            lag_seconds,
            in_flight: 3,
        }
    }

    #[test]
    fn the_worst_replica_speaks_for_the_destination() {
        let own = DestinationStatus {
            in_flight: 2,
            lag_seconds: 1.0,
            ..DestinationStatus::idle(ReplicaState::Active, 64)
        };
        let replicas = [
            row("relay-1", ReplicaState::Open, 99.0),
            row("relay-2", ReplicaState::HalfOpen, 7.0),
            row("relay-3", ReplicaState::Held, 5.0),
        ];
        let group = together("relay-1", "billing", &own, &replicas);
        assert_eq!(group.state, ReplicaState::Held);
        assert_eq!(group.held_reason.as_deref(), Some("said by relay-3"));
        assert_eq!((group.lag_seconds, group.in_flight), (7.0, 8));
    }
}
