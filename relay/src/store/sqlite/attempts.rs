//! Reading the log.

use relay_core::exchange::Timings;
use relay_core::names::{DeliveryId, KeyHash};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};

use super::connection::find_now;
use super::ledger::find_streams;
use super::parked::{coordinates, subject};
use crate::store::attempt::{Attempt, AttemptCursor, AttemptFilter, LoggedExchange};
use crate::store::body::Encoding;
use crate::store::delivery::Page;
use crate::store::lease::Trouble;
use crate::store::words::{Table, signed};

const TABLE: Table = Table("attempts");

/// The attempts of a delivery, newest first.
pub(super) async fn find_of_delivery(
    connection: &mut SqliteConnection,
    id: DeliveryId,
    limit: u32,
) -> Result<Vec<Attempt>, Trouble> {
    let now = find_now(connection).await?;
    let rows = sqlx::query(
        "
        select * from attempts where key_hash = ? and version = ? and expires_at > ?
        order by attempted_at desc, attempt desc limit ?
        ",
    )
    .bind(&id.key_hash.0[..])
    .bind(signed(id.version))
    .bind(now.as_microsecond())
    .bind(limit)
    .fetch_all(connection)
    .await?;
    rows.iter().map(attempt).collect()
}

/// A page of the log, newest first.
pub(super) async fn find_page(
    connection: &mut SqliteConnection,
    filter: &AttemptFilter,
    after: Option<AttemptCursor>,
    limit: u32,
) -> Result<Page<Attempt, AttemptCursor>, Trouble> {
    let now = find_now(connection).await?;
    let mut query = QueryBuilder::<Sqlite>::new("select * from attempts where expires_at > ");
    query.push_bind(now.as_microsecond());
    query
        .push(" and attempted_at >= ")
        .push_bind(filter.since.as_microsecond());
    if let Some(until) = filter.until {
        query
            .push(" and attempted_at < ")
            .push_bind(until.as_microsecond());
    }
    if let Some(cursor) = &after {
        query
            .push(" and (attempted_at, key_hash, version, attempt) < (")
            .push_bind(cursor.attempted_at.as_microsecond())
            .push(", ")
            .push_bind(cursor.id.key_hash.0.to_vec())
            .push(", ")
            .push_bind(signed(cursor.id.version))
            .push(", ")
            .push_bind(cursor.attempt)
            .push(")");
    }
    if let Some(key) = &filter.key {
        let (destination, model) = (filter.destination.as_deref(), filter.model.as_deref());
        let streams = find_streams(connection, destination, model).await?;
        query.push(" and key_hash in (");
        let mut hashes = query.separated(", ");
        for stream in &streams {
            hashes.push_bind(KeyHash::of_key(stream, key).0.to_vec());
        }
        query.push(")");
    }
    push_filter(&mut query, filter);
    query
        .push(" order by attempted_at desc, key_hash desc, version desc, attempt desc limit ")
        .push_bind(i64::from(limit) + 1);
    let rows = query.build().fetch_all(connection).await?;
    let rows = rows.iter().map(attempt).collect::<Result<_, Trouble>>()?;
    Ok(Page::of_attempts(rows, limit))
}

fn push_filter<'a>(query: &mut QueryBuilder<'a, Sqlite>, filter: &'a AttemptFilter) {
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
        query.push(" and status = ").push_bind(status);
    }
    if let Some(error_class) = filter.error_class {
        query
            .push(" and error_class = ")
            .push_bind(error_class.as_str());
    }
}

fn attempt(row: &SqliteRow) -> Result<Attempt, Trouble> {
    let moment = |column| -> Result<_, Trouble> { Ok(TABLE.moment(column, row.try_get(column)?)?) };
    let error_class: Option<&str> = row.try_get("error_class")?;
    Ok(Attempt {
        attempted_at: moment("attempted_at")?,
        expires_at: moment("expires_at")?,
        subject: subject(TABLE, row)?,
        attempt: row.try_get("attempt")?,
        cause: TABLE.cause(row.try_get("cause")?)?,
        outcome: TABLE.outcome(row.try_get("outcome")?)?,
        status: row.try_get("status")?,
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

fn exchange(row: &SqliteRow) -> Result<Option<LoggedExchange>, Trouble> {
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
