//! Destinations, replicas and mappings, for display.

use std::time::Duration;

use relay_core::time::Timestamp;
use sqlx::SqliteConnection;

use super::connection::find_now;
use crate::store::lease::Trouble;
use crate::store::replica::{MappingRow, ReplicaRow};
use crate::store::words::{Table, signed};

const REPLICAS: Table = Table("replicas");
const MAPPINGS: Table = Table("mappings");

/// Notes a destination; the first time counts.
pub(super) async fn record_destination(
    connection: &mut SqliteConnection,
    destination: &str,
    seen_at: Timestamp,
) -> Result<(), Trouble> {
    sqlx::query(
        "insert into destinations (name, first_seen_at) values (?, ?) on conflict do nothing",
    )
    .bind(destination)
    .bind(seen_at.as_microsecond())
    .execute(connection)
    .await?;
    Ok(())
}

/// All destinations ever seen, by name.
pub(super) async fn find_destinations(
    connection: &mut SqliteConnection,
) -> Result<Vec<String>, Trouble> {
    Ok(
        sqlx::query_scalar("select name from destinations order by name")
            .fetch_all(connection)
            .await?,
    )
}

/// What a replica says of a destination, now.
pub(super) async fn record_replica(
    connection: &mut SqliteConnection,
    row: &ReplicaRow,
) -> Result<(), Trouble> {
    let now = find_now(connection).await?;
    sqlx::query(
        "
        insert into replicas (replica, destination, state, held_reason, lag_seconds, in_flight, seen_at)
        values (?, ?, ?, ?, ?, ?, ?)
        on conflict (replica, destination) do update set
          state = excluded.state, held_reason = excluded.held_reason, lag_seconds = excluded.lag_seconds,
          in_flight = excluded.in_flight, seen_at = excluded.seen_at
        ",
    )
    .bind(&row.replica)
    .bind(&*row.destination)
    .bind(row.state.as_str())
    .bind(&row.held_reason)
    .bind(row.lag_seconds)
    .bind(row.in_flight)
    .bind(now.as_microsecond())
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes a mapping; its version and its last sight only ever rise.
pub(super) async fn record_mapping(
    connection: &mut SqliteConnection,
    row: &MappingRow,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "
        insert into mappings (destination, source, model, fingerprint, version_max, last_seen_at)
        values (?, ?, ?, ?, ?, ?)
        on conflict (destination, source, model, fingerprint) do update set
          version_max = max(mappings.version_max, excluded.version_max),
          last_seen_at = max(mappings.last_seen_at, excluded.last_seen_at)
        ",
    )
    .bind(&*row.destination)
    .bind(&*row.source)
    .bind(&*row.model)
    .bind(row.fingerprint.cast_signed())
    .bind(signed(row.version_max))
    .bind(row.last_seen_at.as_microsecond())
    .execute(connection)
    .await?;
    Ok(())
}

/// What was said within a time, by destination and replica.
pub(super) async fn find_replicas(
    connection: &mut SqliteConnection,
    within: Duration,
) -> Result<Vec<ReplicaRow>, Trouble> {
    let within = i64::try_from(within.as_micros()).unwrap_or(i64::MAX);
    let since = find_now(connection)
        .await?
        .as_microsecond()
        .saturating_sub(within);
    let rows: Vec<(String, String, String, Option<String>, f64, u32)> = sqlx::query_as(
        "
        select replica, destination, state, held_reason, lag_seconds, in_flight from replicas
        where seen_at > ?
        order by destination, replica
        ",
    )
    .bind(since)
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(
            |(replica, destination, state, held_reason, lag_seconds, in_flight)| {
                Ok(ReplicaRow {
                    replica,
                    destination: destination.into(),
                    state: REPLICAS.replica_state(&state)?,
                    held_reason,
                    lag_seconds,
                    in_flight,
                })
            },
        )
        .collect()
}

/// The mappings of a destination, the latest seen first.
pub(super) async fn find_mappings(
    connection: &mut SqliteConnection,
    destination: &str,
) -> Result<Vec<MappingRow>, Trouble> {
    let rows: Vec<(String, String, String, i64, i64, i64)> = sqlx::query_as(
        "
        select destination, source, model, fingerprint, version_max, last_seen_at from mappings
        where destination = ? order by last_seen_at desc, source, model, fingerprint
        ",
    )
    .bind(destination)
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(
            |(destination, source, model, fingerprint, version_max, last_seen_at)| {
                Ok(MappingRow {
                    destination: destination.into(),
                    source: source.into(),
                    model: model.into(),
                    fingerprint: fingerprint.cast_unsigned(),
                    version_max: MAPPINGS.number("version_max", version_max)?,
                    last_seen_at: MAPPINGS.moment("last_seen_at", last_seen_at)?,
                })
            },
        )
        .collect()
}
