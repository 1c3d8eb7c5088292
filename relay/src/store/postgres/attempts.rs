//! Reading the log.

use relay_core::exchange::Timings;
use relay_core::names::{DeliveryId, KeyHash};
use relay_core::time::Timestamp;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Postgres, QueryBuilder, Row};
use uuid::Uuid;

use super::moment::Moment;
use super::parked::{coordinates, subject};
use super::ranges::find_now;
use super::streams::find_streams;
use crate::store::attempt::{Attempt, AttemptCursor, AttemptFilter, LoggedExchange};
use crate::store::body::Encoding;
use crate::store::delivery::Page;
use crate::store::lease::Trouble;
use crate::store::words::{Table, signed};

const TABLE: Table = Table("attempts");

const COLUMNS: &str = "expires_at, attempted_at, destination, source, model, key, key_hash, version, operation, \
     attempt, cause, outcome, status, error_class, error, method, url, request_headers, response_headers, \
     body_encoding, connect_ms, first_byte_ms, total_ms, topic, partition_number, offset_number, batch_id, \
     replica";

/// Whether bodies are read along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bodies {
    Read,
    Left,
}

impl Bodies {
    fn columns(self) -> &'static str {
        match self {
            Self::Read => "request_body, response_body",
            Self::Left => "null::bytea as request_body, null::bytea as response_body",
        }
    }
}

/// The attempts of a delivery, newest first.
pub(super) async fn find_of_delivery(
    connection: &mut PgConnection,
    id: DeliveryId,
    bodies: Bodies,
    limit: u32,
) -> Result<Vec<Attempt>, Trouble> {
    let rows = sqlx::query(&format!(
        "
        select {COLUMNS}, {} from attempts
        where key_hash = $1 and version = $2 and expires_at > now()
        order by attempted_at desc, attempt desc limit $3
        ",
        bodies.columns()
    ))
    .bind(Uuid::from_bytes(id.key_hash.0))
    .bind(signed(id.version))
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await?;
    rows.iter().map(attempt).collect()
}

/// How far back the first look goes. A page is looked for in ever wider windows, because without a matching index a
/// whole window is sorted: an hour of a busy log takes seconds, its last ten seconds nothing.
const FIRST_WINDOW_SECONDS: i64 = 10;
const WIDEN: i64 = 8;

/// A page of the log, newest first.
pub(super) async fn find_page(
    connection: &mut PgConnection,
    filter: &AttemptFilter,
    after: Option<AttemptCursor>,
    limit: u32,
) -> Result<Page<Attempt, AttemptCursor>, Trouble> {
    let key_hashes = match &filter.key {
        Some(key) => Some(find_key_hashes(connection, filter, key).await?),
        None => None,
    };
    let wanted = limit as usize + 1;
    let mut rows: Vec<Attempt> = Vec::new();
    let mut until = filter.until;
    let newest = match (after, until) {
        (Some(cursor), _) => cursor.attempted_at,
        (None, Some(until)) => until,
        (None, None) => find_now(connection).await?,
    };
    let mut reach = FIRST_WINDOW_SECONDS;
    while rows.len() < wanted {
        let back = newest.as_second().saturating_sub(reach);
        let since = Timestamp::from_second(back).map_or(filter.since, |at| at.max(filter.since));
        let window = Window {
            since,
            until,
            after,
            key_hashes: key_hashes.as_deref(),
            limit: wanted - rows.len(),
        };
        rows.extend(find_in_window(connection, filter, &window).await?);
        if since <= filter.since {
            break;
        }
        until = Some(since);
        reach = reach.saturating_mul(WIDEN);
    }
    Ok(Page::of_attempts(rows, limit))
}

/// The hashes that a key has in the streams it can mean: the log is found through them.
async fn find_key_hashes(
    connection: &mut PgConnection,
    filter: &AttemptFilter,
    key: &str,
) -> Result<Vec<Uuid>, Trouble> {
    let (destination, model) = (filter.destination.as_deref(), filter.model.as_deref());
    let streams = find_streams(connection, destination, model).await?;
    Ok(streams
        .iter()
        .map(|stream| Uuid::from_bytes(KeyHash::of_key(stream, key).0))
        .collect())
}

struct Window<'a> {
    since: Timestamp,
    until: Option<Timestamp>,
    after: Option<AttemptCursor>,
    key_hashes: Option<&'a [Uuid]>,
    limit: usize,
}

async fn find_in_window(
    connection: &mut PgConnection,
    filter: &AttemptFilter,
    window: &Window<'_>,
) -> Result<Vec<Attempt>, Trouble> {
    let mut query = QueryBuilder::<Postgres>::new("select ");
    query.push(COLUMNS).push(", ").push(Bodies::Read.columns());
    query.push(" from attempts where expires_at > now() and attempted_at >= ");
    query.push_bind(Moment(window.since));
    if let Some(until) = window.until {
        query.push(" and attempted_at < ").push_bind(Moment(until));
    }
    if let Some(cursor) = window.after {
        query
            .push(" and (attempted_at, key_hash, version, attempt) < (")
            .push_bind(Moment(cursor.attempted_at))
            .push(", ")
            .push_bind(Uuid::from_bytes(cursor.id.key_hash.0))
            .push(", ")
            .push_bind(signed(cursor.id.version))
            .push(", ")
            .push_bind(i64::from(cursor.attempt))
            .push(")");
    }
    if let Some(key_hashes) = window.key_hashes {
        query
            .push(" and key_hash = any(")
            .push_bind(key_hashes)
            .push(")");
    }
    push_filter(&mut query, filter);
    query
        .push(" order by attempted_at desc, key_hash desc, version desc, attempt desc limit ")
        .push_bind(i64::try_from(window.limit).unwrap_or(i64::MAX));
    let rows = query.build().fetch_all(connection).await?;
    rows.iter().map(attempt).collect()
}

fn push_filter<'a>(query: &mut QueryBuilder<'a, Postgres>, filter: &'a AttemptFilter) {
    if let Some(destination) = &filter.destination {
        query.push(" and destination = ").push_bind(destination);
    }
    if let Some(model) = &filter.model {
        query.push(" and model = ").push_bind(model);
    }
    if let Some(outcome) = filter.outcome {
        query.push(" and outcome = ").push_bind(outcome.as_str());
    }
    if let Some(status) = filter.status {
        query.push(" and status = ").push_bind(status.cast_signed());
    }
    if let Some(error_class) = filter.error_class {
        query
            .push(" and error_class = ")
            .push_bind(error_class.as_str());
    }
}

fn attempt(row: &PgRow) -> Result<Attempt, Trouble> {
    let (attempted_at, expires_at): (Moment, Moment) =
        (row.try_get("attempted_at")?, row.try_get("expires_at")?);
    let error_class: Option<&str> = row.try_get("error_class")?;
    Ok(Attempt {
        attempted_at: attempted_at.0,
        expires_at: expires_at.0,
        subject: subject(TABLE, row)?,
        attempt: TABLE.number("attempt", row.try_get::<i32, _>("attempt")?.into())?,
        cause: TABLE.cause(row.try_get("cause")?)?,
        outcome: TABLE.outcome(row.try_get("outcome")?)?,
        status: row
            .try_get::<Option<i16>, _>("status")?
            .map(i16::cast_unsigned),
        error_class: error_class
            .map(|name| TABLE.error_class(name))
            .transpose()?,
        error: row.try_get("error")?,
        exchange: exchange(row)?,
        coordinates: coordinates(row)?,
        batch_id: row.try_get("batch_id")?,
        replica: row.try_get("replica")?,
    })
}

fn exchange(row: &PgRow) -> Result<Option<LoggedExchange>, Trouble> {
    let Some(method) = row.try_get("method")? else {
        return Ok(None);
    };
    let encoding = Encoding::from_name(TABLE, row.try_get("body_encoding")?)?;
    let body = |column: &str| -> Result<Option<Vec<u8>>, Trouble> {
        let stored: Option<Vec<u8>> = row.try_get(column)?;
        Ok(stored
            .map(|stored| encoding.decode(TABLE, stored))
            .transpose()?)
    };
    Ok(Some(LoggedExchange {
        method,
        url: row.try_get::<Option<String>, _>("url")?.unwrap_or_default(),
        request_headers: row.try_get("request_headers")?,
        request_body: body("request_body")?,
        response_headers: row.try_get("response_headers")?,
        response_body: body("response_body")?,
        timings: Timings {
            connect_ms: row.try_get("connect_ms")?,
            first_byte_ms: row.try_get("first_byte_ms")?,
            total_ms: row
                .try_get::<Option<f32>, _>("total_ms")?
                .unwrap_or_default(),
        },
    }))
}
