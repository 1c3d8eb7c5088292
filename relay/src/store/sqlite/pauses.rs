//! Destinations that an operator has paused.

use sqlx::{Connection, SqliteConnection};

use crate::store::lease::Trouble;
use crate::store::pause::{Pause, PauseRequest};
use crate::store::words::Table;

const DESTINATIONS: Table = Table("destinations");

/// Pauses a destination or lets it go on, and notes who asked.
pub(super) async fn set(
    connection: &mut SqliteConnection,
    request: &PauseRequest,
) -> Result<(), Trouble> {
    let pause = request.pause();
    let mut transaction = connection.begin_with("begin immediate").await?;
    sqlx::query(
        "
        insert into destinations (name, first_seen_at, paused, paused_reason, paused_by, paused_at)
        values (?, ?, ?, ?, ?, ?)
        on conflict (name) do update set
          paused = excluded.paused, paused_reason = excluded.paused_reason, paused_by = excluded.paused_by,
          paused_at = excluded.paused_at
        ",
    )
    .bind(&request.destination)
    .bind(request.at.as_microsecond())
    .bind(pause.is_some())
    .bind(pause.as_ref().map(|pause| &pause.reason))
    .bind(pause.as_ref().map(|pause| &pause.by))
    .bind(pause.as_ref().map(|pause| pause.at.as_microsecond()))
    .execute(&mut *transaction)
    .await?;
    sqlx::query(
        "insert into audit (at, token_name, action, target, detail) values (?, ?, ?, ?, ?)",
    )
    .bind(request.at.as_microsecond())
    .bind(&request.token_name)
    .bind(request.wish.action())
    .bind(&request.destination)
    .bind(request.wish.reason())
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(())
}

/// Who paused a destination, if somebody has.
pub(super) async fn find(
    connection: &mut SqliteConnection,
    destination: &str,
) -> Result<Option<Pause>, Trouble> {
    let row: Option<(Option<String>, Option<String>, i64)> = sqlx::query_as(
        "select paused_reason, paused_by, paused_at from destinations where name = ? and paused_at is not null",
    )
    .bind(destination)
    .fetch_optional(connection)
    .await?;
    row.map(|(reason, by, at)| {
        Ok(Pause {
            reason: reason.unwrap_or_default(),
            by: by.unwrap_or_default(),
            at: DESTINATIONS.moment("paused_at", at)?,
        })
    })
    .transpose()
}
