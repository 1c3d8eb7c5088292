//! Idempotency keys: claimed by whoever does a write, then with its answer. A row whose answer is empty is claimed and no more.

use sqlx::PgConnection;

use super::moment::Moment;
use crate::store::claim::Claim;
use crate::store::lease::Trouble;

/// Claims a key that nobody has, or whose time has passed.
pub(super) async fn claim(
    connection: &mut PgConnection,
    key: &str,
    body_hash: &[u8],
    (now, until): (Moment, Moment),
) -> Result<Claim, Trouble> {
    let claimed = sqlx::query(
        "
        insert into idempotency_keys (key, body_hash, response, expires_at) values ($1, $2, '', $4)
        on conflict (key) do update set
          body_hash = excluded.body_hash, response = excluded.response, expires_at = excluded.expires_at
        where idempotency_keys.expires_at <= $3
        ",
    )
    .bind(key)
    .bind(body_hash)
    .bind(now)
    .bind(until)
    .execute(&mut *connection)
    .await?;
    if claimed.rows_affected() > 0 {
        return Ok(Claim::Ours);
    }
    let theirs: Option<(Vec<u8>, String)> =
        sqlx::query_as("select body_hash, response from idempotency_keys where key = $1")
            .bind(key)
            .fetch_optional(connection)
            .await?;
    Ok(Claim::theirs(theirs, body_hash))
}

/// Keeps the answer to the write of a claim. One that took too long may be another's by now.
pub(super) async fn answer(
    connection: &mut PgConnection,
    (key, claimed_until): (&str, Moment),
    response: &str,
    expires_at: Moment,
) -> Result<(), Trouble> {
    sqlx::query(
        "
        update idempotency_keys set response = $3, expires_at = $4
        where key = $1 and response = '' and expires_at = $2
        ",
    )
    .bind(key)
    .bind(claimed_until)
    .bind(response)
    .bind(expires_at)
    .execute(connection)
    .await?;
    Ok(())
}

/// Forgets a claim whose write came to nothing.
pub(super) async fn give_up(
    connection: &mut PgConnection,
    (key, claimed_until): (&str, Moment),
) -> Result<(), Trouble> {
    sqlx::query(
        "delete from idempotency_keys where key = $1 and response = '' and expires_at = $2",
    )
    .bind(key)
    .bind(claimed_until)
    .execute(connection)
    .await?;
    Ok(())
}
