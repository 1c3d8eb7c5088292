//! Destinations that an operator has paused, or has let go on.

use relay_core::time::Timestamp;
use sqlx::{Connection, SqliteConnection};

use super::audits;
use crate::store::lease::Trouble;
use crate::store::pause::{Orders, Pause, PauseRequest};
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
        insert into destinations (name, first_seen_at, paused, paused_reason, paused_by, paused_at, resumed_at)
        values (?, ?, ?, ?, ?, ?, ?)
        on conflict (name) do update set
          paused = excluded.paused, paused_reason = excluded.paused_reason, paused_by = excluded.paused_by,
          paused_at = excluded.paused_at,
          resumed_at = case
            when destinations.paused then destinations.resumed_at
            else coalesce(max(destinations.resumed_at, excluded.resumed_at), excluded.resumed_at, destinations.resumed_at)
          end
        ",
    )
    .bind(&request.destination)
    .bind(request.at.as_microsecond())
    .bind(pause.is_some())
    .bind(pause.as_ref().map(|pause| &pause.reason))
    .bind(pause.as_ref().map(|pause| &pause.by))
    .bind(pause.as_ref().map(|pause| pause.at.as_microsecond()))
    .bind(request.resumed_at().map(Timestamp::as_microsecond))
    .execute(&mut *transaction)
    .await?;
    audits::note(&mut transaction, &request.audit()).await?;
    transaction.commit().await?;
    Ok(())
}

/// What operators have said of a destination.
pub(super) async fn find(
    connection: &mut SqliteConnection,
    destination: &str,
) -> Result<Orders, Trouble> {
    let row: Option<Row> = sqlx::query_as(
        "select paused_reason, paused_by, paused_at, resumed_at from destinations where name = ?",
    )
    .bind(destination)
    .fetch_optional(connection)
    .await?;
    let Some((reason, by, paused_at, resumed_at)) = row else {
        return Ok(Orders::default());
    };
    let moment = |column, at: Option<i64>| at.map(|at| DESTINATIONS.moment(column, at)).transpose();
    Ok(Orders {
        pause: moment("paused_at", paused_at)?.map(|at| Pause {
            reason: reason.unwrap_or_default(),
            by: by.unwrap_or_default(),
            at,
        }),
        resumed_at: moment("resumed_at", resumed_at)?,
    })
}

type Row = (Option<String>, Option<String>, Option<i64>, Option<i64>);
