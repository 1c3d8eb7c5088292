//! Partitions of the log: made ahead, attached, detached, dropped, without holding up a single COPY.
//!
//! A partition is made as a table of its own and attached, detached concurrently and then dropped: making or dropping
//! one in place waits for every reader of the log, and all writers wait behind it.

use std::time::Duration;

use relay_core::time::{Timestamp, saturating_add};
use sqlx::{Connection, PgConnection, Row};

use super::connection::run;
use super::ranges::{Range, Ranges, find_now, find_ranges};
use crate::store::Open;
use crate::store::upkeep::Partitions;

/// One replica at a time does the upkeep: `pg_try_advisory_lock` of this number.
const UPKEEP_LOCK: i64 = 0x7265_706c_6963_6174;

/// How long ATTACH and DROP may wait for a lock; writers of the log queue behind them.
const LOCK_LIMIT: &str = "set lock_timeout = '1s'";

/// DETACH CONCURRENTLY waits for readers without holding anybody up, so it has no lock limit: cancelled, it leaves the
/// partition pending until it is finalised. It is given up when readers stay this long, and finalised by a later round.
const DETACH_LIMIT: &str = "set lock_timeout = 0; set statement_timeout = '60s'";

/// A round that takes longer has lost its connection.
pub(super) const ROUND_LIMIT: Duration = Duration::from_secs(15 * 60);

/// What replicas said, and expired answers, are forgotten after this long.
const FORGET_REPLICAS: &str = "delete from replicas where seen_at < now() - interval '1 day'";
const FORGET_ANSWERS: &str = "delete from idempotency_keys where expires_at < now()";

/// Partitions attached and dropped by one round.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Changes {
    pub attached: u32,
    pub dropped: u32,
}

/// One round on a connection of its own. Does nothing while another replica does it.
pub(super) async fn maintain(
    mut connection: PgConnection,
    open: &Open,
) -> Result<Changes, sqlx::Error> {
    let mut changes = Changes::default();
    if try_lock(&mut connection).await? {
        let done = run_round(&mut connection, open, &mut changes).await;
        unlock(&mut connection).await?;
        done?;
    }
    connection.close().await?;
    Ok(changes)
}

async fn run_round(
    connection: &mut PgConnection,
    open: &Open,
    changes: &mut Changes,
) -> Result<(), sqlx::Error> {
    // First what keeps the log writable, then what may wait long.
    attach_ahead(connection, open, changes).await?;
    for forget in [FORGET_REPLICAS, FORGET_ANSWERS] {
        run(connection, forget).await?;
    }
    match drop_ended(connection, changes).await {
        Err(error) if is_held_up(&error) => {
            tracing::warn!(
                %error,
                "readers of the log hold up the dropping of an ended partition; the next round goes on"
            );
            Ok(())
        }
        answer => answer,
    }
}

/// A limit of this connection has passed: `query_canceled` or `lock_not_available`.
fn is_held_up(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .is_some_and(|code| code == "57014" || code == "55P03")
}

async fn try_lock(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("select pg_try_advisory_lock($1)")
        .bind(UPKEEP_LOCK)
        .fetch_one(connection)
        .await
}

async fn unlock(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query("select pg_advisory_unlock($1)")
        .bind(UPKEEP_LOCK)
        .execute(connection)
        .await?;
    Ok(())
}

async fn attach_ahead(
    connection: &mut PgConnection,
    open: &Open,
    changes: &mut Changes,
) -> Result<(), sqlx::Error> {
    run(connection, LOCK_LIMIT).await?;
    let now = find_now(connection).await?;
    let ranges = find_ranges(connection).await?;
    for range in missing(&ranges, now, open) {
        let Range {
            table,
            lower,
            upper,
        } = &range;
        // Left behind by a round that was killed before it could attach it, the table is there already, and empty.
        run(
            connection,
            &format!(
                "create table if not exists {table}
               (like attempts including defaults including constraints including storage)"
            ),
        )
        .await?;
        run(connection, &format!(
            "alter table attempts attach partition {table} for values from ('{lower}') to ('{upper}')"
        )).await?;
        changes.attached += 1;
    }
    Ok(())
}

async fn drop_ended(
    connection: &mut PgConnection,
    changes: &mut Changes,
) -> Result<(), sqlx::Error> {
    for table in find_pending(connection).await? {
        run(connection, DETACH_LIMIT).await?;
        run(
            connection,
            &format!("alter table attempts detach partition {table} finalize"),
        )
        .await?;
    }
    let now = find_now(connection).await?;
    let ranges = find_ranges(connection).await?;
    for range in ranges.iter().filter(|range| range.upper <= now) {
        run(connection, DETACH_LIMIT).await?;
        run(
            connection,
            &format!(
                "alter table attempts detach partition {} concurrently",
                range.table
            ),
        )
        .await?;
    }
    for table in find_detached(connection, now).await? {
        run(connection, LOCK_LIMIT).await?;
        run(connection, &format!("drop table {table}")).await?;
        changes.dropped += 1;
    }
    Ok(())
}

/// Partitions whose detaching was cut short: they refuse rows, and every further detaching.
async fn find_pending(connection: &mut PgConnection) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(
        "
        select quote_ident(child.relname) from pg_inherits
        join pg_class child on child.oid = pg_inherits.inhrelid
        where pg_inherits.inhparent = 'attempts'::regclass and pg_inherits.inhdetachpending
        ",
    )
    .fetch_all(connection)
    .await
}

/// Former partitions that were not dropped yet. A name tells its lower bound; what has not begun yet was never detached.
async fn find_detached(
    connection: &mut PgConnection,
    now: Timestamp,
) -> Result<Vec<String>, sqlx::Error> {
    let rows = sqlx::query(
        r"
        select child.relname::text as relname from pg_class child
        join pg_class parent on parent.oid = 'attempts'::regclass and parent.relnamespace = child.relnamespace
        where child.relkind = 'r' and not child.relispartition
          and child.relname ~ '^attempts_p\d{8}t\d{4}$' and child.relname < $1
        order by child.relname
        ",
    )
    .bind(table_name(now))
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| row.try_get("relname")).collect()
}

/// `attempts_p20261122t0000`: the lower bound in UTC.
fn table_name(lower: Timestamp) -> String {
    lower.strftime("attempts_p%Y%m%dt%H%M").to_string()
}

/// The partitions that must be made so that everything from now to `partitions_ahead` widths beyond the furthest expiry
/// has one. Existing ones stay as they are, also when the width has changed since.
fn missing(ranges: &Ranges, now: Timestamp, open: &Open) -> Vec<Range> {
    let width = open.partition_width;
    let ahead = width.saturating_mul(open.partitions_ahead);
    let furthest = grid_floor(saturating_add(now, open.longest_retention.get()), width);
    let end = saturating_add(saturating_add(furthest, width), ahead);
    let mut missing = Vec::new();
    let mut lower = grid_floor(now, width);
    while lower < end {
        if let Some(range) = ranges.around(lower) {
            lower = range.upper;
            continue;
        }
        let next = saturating_add(grid_floor(lower, width), width);
        let upper = ranges
            .next_lower(lower)
            .map_or(next, |existing| existing.min(next));
        missing.push(Range {
            table: table_name(lower),
            lower,
            upper,
        });
        lower = upper;
    }
    missing
}

/// The last multiple of the width since 1970 that is not after a moment.
fn grid_floor(moment: Timestamp, width: Duration) -> Timestamp {
    let width = i64::try_from(width.as_micros()).unwrap_or(i64::MAX).max(1);
    let micros = moment.as_microsecond();
    Timestamp::from_microsecond(micros - micros.rem_euclid(width)).unwrap_or(moment)
}

/// Whether the partitions reach beyond the furthest expiry.
pub(super) async fn measure(
    connection: &mut PgConnection,
    open: &Open,
) -> Result<Partitions, sqlx::Error> {
    let now = find_now(connection).await?;
    let ranges = find_ranges(connection).await?;
    Ok(reach(
        &ranges,
        now,
        saturating_add(now, open.longest_retention.get()),
    ))
}

fn reach(ranges: &Ranges, now: Timestamp, furthest: Timestamp) -> Partitions {
    let mut moment = now;
    let mut ahead = 0;
    while let Some(range) = ranges.around(moment) {
        if range.lower > furthest {
            ahead += 1;
        }
        moment = range.upper;
    }
    Partitions {
        ahead,
        next_is_missing: ahead == 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const HOUR: Duration = Duration::from_secs(3_600);

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn open(partition_width: Duration, longest_retention: Duration) -> Open {
        Open {
            url: String::new(),
            connections_max: 2,
            partition_width,
            partitions_ahead: 2,
            longest_retention: longest_retention.into(),
            compress: false,
            replica: String::new(),
        }
    }

    fn names(ranges: &[Range]) -> Vec<&str> {
        ranges
            .iter()
            .map(|range| range.table.trim_start_matches("attempts_p"))
            .collect()
    }

    #[test]
    fn an_empty_log_gets_partitions_from_now_to_so_many_beyond_the_furthest_expiry() {
        let now = at("2026-11-22T10:00:30Z");
        let made = missing(&Ranges::default(), now, &open(MINUTE, MINUTE));
        assert_eq!(
            names(&made),
            [
                "20261122t1000",
                "20261122t1001",
                "20261122t1002",
                "20261122t1003"
            ]
        );
        let partitions = reach(&Ranges::new(made), now, now + MINUTE);
        assert_eq!(partitions.ahead, 2);
        assert!(!partitions.next_is_missing);
    }

    #[test]
    fn a_new_width_begins_where_the_old_partitions_end_and_meets_its_grid() {
        let now = at("2026-11-22T10:00:30Z");
        let old = Ranges::new(missing(&Ranges::default(), now, &open(MINUTE, MINUTE)));
        let made = missing(&old, now, &open(HOUR, HOUR));
        assert_eq!(
            names(&made),
            [
                "20261122t1004",
                "20261122t1100",
                "20261122t1200",
                "20261122t1300"
            ]
        );
        assert_eq!(made[0].upper, at("2026-11-22T11:00:00Z"));
    }

    #[test]
    fn a_shorter_retention_needs_no_more_partitions_and_a_longer_one_the_rest() {
        let now = at("2026-11-22T10:00:30Z");
        let held = Ranges::new(missing(&Ranges::default(), now, &open(MINUTE, HOUR)));
        assert!(missing(&held, now, &open(MINUTE, MINUTE)).is_empty());
        assert_eq!(missing(&held, now, &open(MINUTE, HOUR + MINUTE)).len(), 1);
    }

    #[test]
    fn a_gap_before_the_furthest_expiry_counts_as_the_next_one_missing() {
        let now = at("2026-11-22T10:00:30Z");
        let mut made = missing(&Ranges::default(), now, &open(MINUTE, MINUTE));
        made.remove(1);
        let gap = Ranges::new(made);
        assert!(reach(&gap, now, now + MINUTE).next_is_missing);
        assert_eq!(
            names(&missing(&gap, now, &open(MINUTE, MINUTE))),
            ["20261122t1001"]
        );
    }
}
