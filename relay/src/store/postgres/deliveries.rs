//! Undelivered records for people: lists, one delivery, a retry.

use relay_core::names::DeliveryId;
use sqlx::{Connection, PgConnection, Postgres, QueryBuilder, Row};
use uuid::Uuid;

use super::attempts::{Bodies, find_of_delivery};
use super::ledger::find_version_of_any_stream;
use super::moment::Moment;
use super::parked::{COLUMNS, parked_row};
use crate::store::delivery::{
    Delivery, DeliveryCursor, DeliveryFilter, Page, RetryAnswer, RetryRequest, STORY,
};
use crate::store::lease::Trouble;
use crate::store::words::signed;

/// A page of undelivered records, newest first.
pub(super) async fn find_page(
    connection: &mut PgConnection,
    filter: &DeliveryFilter,
    after: Option<DeliveryCursor>,
    limit: u32,
) -> Result<Page<Delivery, DeliveryCursor>, Trouble> {
    let mut query = QueryBuilder::<Postgres>::new("select ");
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

fn push_filter<'a>(query: &mut QueryBuilder<'a, Postgres>, filter: &'a DeliveryFilter) {
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
        query
            .push(" and last_status = ")
            .push_bind(status.cast_signed());
    }
    if let Some(since) = filter.since {
        query
            .push(" and last_failed_at >= ")
            .push_bind(Moment(since));
    }
    if let Some(until) = filter.until {
        query
            .push(" and last_failed_at < ")
            .push_bind(Moment(until));
    }
}

/// A delivery: undelivered, or as the log knows it.
pub(super) async fn find(
    connection: &mut PgConnection,
    id: DeliveryId,
) -> Result<Option<Delivery>, Trouble> {
    let row = sqlx::query(&format!(
        "select {COLUMNS} from parked where key_hash = $1 and version = $2"
    ))
    .bind(Uuid::from_bytes(id.key_hash.0))
    .bind(signed(id.version))
    .fetch_optional(&mut *connection)
    .await?;
    if let Some(row) = row {
        return Ok(Some(Delivery::of_parked(parked_row(&row, None)?)));
    }
    let attempts = find_of_delivery(connection, id, Bodies::Left, STORY).await?;
    Ok(Delivery::of_log(&attempts))
}

/// Makes an undelivered record due; says why not, where there is none.
pub(super) async fn retry(
    connection: &mut PgConnection,
    request: &RetryRequest,
) -> Result<RetryAnswer, Trouble> {
    let mut transaction = connection.begin().await?;
    if make_due(&mut transaction, request).await? {
        note(&mut transaction, request).await?;
        transaction.commit().await?;
        return Ok(RetryAnswer::Due);
    }
    transaction.rollback().await?;
    let attempts = find_of_delivery(connection, request.id, Bodies::Left, STORY).await?;
    let held = find_version_of_any_stream(connection, request.id.key_hash).await?;
    Ok(RetryAnswer::why_not(request.id, &attempts, held))
}

async fn make_due(
    connection: &mut PgConnection,
    request: &RetryRequest,
) -> Result<bool, sqlx::Error> {
    let updated = sqlx::query(
        "
        update parked set state = 'parked', reason = 'manual', charged = 0, next_attempt_at = $3
        where key_hash = $1 and version = $2
        ",
    )
    .bind(Uuid::from_bytes(request.id.key_hash.0))
    .bind(signed(request.id.version))
    .bind(Moment(request.at))
    .execute(connection)
    .await?;
    Ok(updated.rows_affected() > 0)
}

async fn note(connection: &mut PgConnection, request: &RetryRequest) -> Result<(), sqlx::Error> {
    sqlx::query("insert into audit (at, token_name, action, target) values ($1, $2, 'retry', $3)")
        .bind(Moment(request.at))
        .bind(&request.token_name)
        .bind(request.id.to_string())
        .execute(connection)
        .await?;
    Ok(())
}
