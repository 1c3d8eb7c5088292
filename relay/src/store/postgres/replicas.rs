//! Destinations, replicas and mappings, for display.

use std::time::Duration;

use relay_core::time::Timestamp;
use sqlx::PgConnection;

use super::moment::Moment;
use crate::store::lease::Trouble;
use crate::store::replica::{MappingRow, ReplicaRow};
use crate::store::words::{Table, counted, signed};

const REPLICAS: Table = Table("replicas");
const MAPPINGS: Table = Table("mappings");

/// Notes a destination; the first time counts.
pub(super) async fn record_destination(
    connection: &mut PgConnection,
    destination: &str,
    seen_at: Timestamp,
) -> Result<(), Trouble> {
    sqlx::query(
        "insert into destinations (name, first_seen_at) values ($1, $2) on conflict do nothing",
    )
    .bind(destination)
    .bind(Moment(seen_at))
    .execute(connection)
    .await?;
    Ok(())
}

/// All destinations ever seen, by name.
pub(super) async fn find_destinations(
    connection: &mut PgConnection,
) -> Result<Vec<String>, Trouble> {
    Ok(
        sqlx::query_scalar("select name from destinations order by name")
            .fetch_all(connection)
            .await?,
    )
}

/// What a replica says of a destination, now by the database's clock: replicas' own clocks need not agree.
pub(super) async fn record_replica(
    connection: &mut PgConnection,
    row: &ReplicaRow,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "
        insert into replicas (replica, destination, state, held_reason, lag_seconds, in_flight, seen_at)
        values ($1, $2, $3, $4, $5, $6, now())
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
    .bind(counted(row.in_flight))
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes a mapping; its version and its last sight only ever rise.
pub(super) async fn record_mapping(
    connection: &mut PgConnection,
    row: &MappingRow,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "
        insert into mappings (destination, source, model, fingerprint, version_max, last_seen_at)
        values ($1, $2, $3, $4, $5, $6)
        on conflict (destination, source, model, fingerprint) do update set
          version_max = greatest(mappings.version_max, excluded.version_max),
          last_seen_at = greatest(mappings.last_seen_at, excluded.last_seen_at)
        ",
    )
    .bind(&*row.destination)
    .bind(&*row.source)
    .bind(&*row.model)
    .bind(row.fingerprint.cast_signed())
    .bind(signed(row.version_max))
    .bind(Moment(row.last_seen_at))
    .execute(connection)
    .await?;
    Ok(())
}

/// What was said within a time, by destination and replica.
pub(super) async fn find_replicas(
    connection: &mut PgConnection,
    within: Duration,
) -> Result<Vec<ReplicaRow>, Trouble> {
    let rows: Vec<(String, String, String, Option<String>, f64, i32)> = sqlx::query_as(
        "
        select replica, destination, state, held_reason, lag_seconds, in_flight from replicas
        where seen_at > now() - make_interval(secs => $1)
        order by destination, replica
        ",
    )
    .bind(within.as_secs_f64())
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
                    in_flight: REPLICAS.number("in_flight", in_flight.into())?,
                })
            },
        )
        .collect()
}

/// The mappings of a destination, the latest seen first.
pub(super) async fn find_mappings(
    connection: &mut PgConnection,
    destination: &str,
) -> Result<Vec<MappingRow>, Trouble> {
    let rows: Vec<(String, String, String, i64, i64, Moment)> = sqlx::query_as(
        "
        select destination, source, model, fingerprint, version_max, last_seen_at from mappings
        where destination = $1 order by last_seen_at desc, source, model, fingerprint
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
                    last_seen_at: last_seen_at.0,
                })
            },
        )
        .collect()
}
