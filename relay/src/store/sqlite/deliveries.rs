//! Undelivered records for people: lists, one delivery, a retry.

use relay_core::names::DeliveryId;
use sqlx::{Connection, QueryBuilder, Row, Sqlite, SqliteConnection};

use super::attempts::find_of_delivery;
use super::ledger::find_version_of_any_stream;
use super::parked::{COLUMNS, parked_row};
use crate::store::delivery::{
    Delivery, DeliveryCursor, DeliveryFilter, Page, RetryAnswer, RetryRequest, STORY,
};
use crate::store::lease::Trouble;
use crate::store::words::signed;

/// A page of undelivered records, newest first.
pub(super) async fn find_page(
    connection: &mut SqliteConnection,
    filter: &DeliveryFilter,
    after: Option<DeliveryCursor>,
    limit: u32,
) -> Result<Page<Delivery, DeliveryCursor>, Trouble> {
    let mut query = QueryBuilder::<Sqlite>::new("select ");
    query.push(COLUMNS).push(" from parked where true");
    if let Some(DeliveryCursor(id)) = after {
        query.push(" and id < ").push_bind(id);
    }
    push_filter(&mut query, filter);
    query
        .push(" order by id desc limit ")
        .push_bind(i64::from(limit) + 1);
    let mut rows = query.build().fetch_all(connection).await?;
    let has_more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let next = match rows.last() {
        Some(last) if has_more => Some(DeliveryCursor(last.try_get("id")?)),
        _ => None,
    };
    let rows = rows
        .iter()
        .map(|row| Ok(Delivery::of_parked(parked_row(row, None)?)))
        .collect::<Result<_, Trouble>>()?;
    Ok(Page { rows, next })
}

fn push_filter<'a>(query: &mut QueryBuilder<'a, Sqlite>, filter: &'a DeliveryFilter) {
    let texts = [
        (" and destination = ", &filter.destination),
        (" and model = ", &filter.model),
        (" and key = ", &filter.key),
        (" and state = ", &filter.state),
    ];
    for (condition, value) in texts {
        if let Some(value) = value {
            query.push(condition).push_bind(value);
        }
    }
    if let Some(error_class) = filter.error_class {
        query
            .push(" and error_class = ")
            .push_bind(error_class.as_str());
    }
    if let Some(status) = filter.status {
        query.push(" and last_status = ").push_bind(status);
    }
    if let Some(since) = filter.since {
        query
            .push(" and last_failed_at >= ")
            .push_bind(since.as_microsecond());
    }
    if let Some(until) = filter.until {
        query
            .push(" and last_failed_at < ")
            .push_bind(until.as_microsecond());
    }
}

/// A delivery: undelivered, or as the log knows it.
pub(super) async fn find(
    connection: &mut SqliteConnection,
    id: DeliveryId,
) -> Result<Option<Delivery>, Trouble> {
    let row = sqlx::query(&format!(
        "select {COLUMNS} from parked where key_hash = ? and version = ?"
    ))
    .bind(&id.key_hash.0[..])
    .bind(signed(id.version))
    .fetch_optional(&mut *connection)
    .await?;
    if let Some(row) = row {
        return Ok(Some(Delivery::of_parked(parked_row(&row, None)?)));
    }
    let attempts = find_of_delivery(connection, id, STORY).await?;
    Ok(Delivery::of_log(&attempts))
}

/// Makes an undelivered record due; says why not, where there is none.
pub(super) async fn retry(
    connection: &mut SqliteConnection,
    request: &RetryRequest,
) -> Result<RetryAnswer, Trouble> {
    let mut transaction = connection.begin_with("begin immediate").await?;
    if make_due(&mut transaction, request).await? {
        note(&mut transaction, request).await?;
        transaction.commit().await?;
        return Ok(RetryAnswer::Due);
    }
    transaction.rollback().await?;
    let attempts = find_of_delivery(connection, request.id, STORY).await?;
    let held = find_version_of_any_stream(connection, request.id.key_hash).await?;
    Ok(RetryAnswer::why_not(request.id, &attempts, held))
}

async fn make_due(
    connection: &mut SqliteConnection,
    request: &RetryRequest,
) -> Result<bool, sqlx::Error> {
    let updated = sqlx::query(
        "
        update parked set state = 'parked', reason = 'manual', charged = 0, next_attempt_at = ?
        where key_hash = ? and version = ?
        ",
    )
    .bind(request.at.as_microsecond())
    .bind(&request.id.key_hash.0[..])
    .bind(signed(request.id.version))
    .execute(connection)
    .await?;
    Ok(updated.rows_affected() > 0)
}

async fn note(
    connection: &mut SqliteConnection,
    request: &RetryRequest,
) -> Result<(), sqlx::Error> {
    sqlx::query("insert into audit (at, token_name, action, target) values (?, ?, 'retry', ?)")
        .bind(request.at.as_microsecond())
        .bind(&request.token_name)
        .bind(request.id.to_string())
        .execute(connection)
        .await?;
    Ok(())
}
