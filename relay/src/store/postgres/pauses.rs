//! Destinations that an operator has paused, or has let go on.

use sqlx::{Connection, PgConnection};

use super::audits;
use super::moment::Moment;
use crate::store::lease::Trouble;
use crate::store::pause::{Orders, Pause, PauseRequest};

/// Pauses a destination or lets it go on, and notes who asked.
pub(super) async fn set(
    connection: &mut PgConnection,
    request: &PauseRequest,
) -> Result<(), Trouble> {
    let pause = request.pause();
    let mut transaction = connection.begin().await?;
    sqlx::query(
        "
        insert into destinations (name, first_seen_at, paused, paused_reason, paused_by, paused_at, resumed_at)
        values ($1, $2, $3, $4, $5, $6, $7)
        on conflict (name) do update set
          paused = excluded.paused, paused_reason = excluded.paused_reason, paused_by = excluded.paused_by,
          paused_at = excluded.paused_at,
          resumed_at = case
            when destinations.paused then destinations.resumed_at
            else greatest(destinations.resumed_at, excluded.resumed_at)
          end
        ",
    )
    .bind(&request.destination)
    .bind(Moment(request.at))
    .bind(pause.is_some())
    .bind(pause.as_ref().map(|pause| &pause.reason))
    .bind(pause.as_ref().map(|pause| &pause.by))
    .bind(pause.as_ref().map(|pause| Moment(pause.at)))
    .bind(request.resumed_at().map(Moment))
    .execute(&mut *transaction)
    .await?;
    audits::note(&mut transaction, &request.audit()).await?;
    transaction.commit().await?;
    Ok(())
}

/// What operators have said of a destination.
pub(super) async fn find(
    connection: &mut PgConnection,
    destination: &str,
) -> Result<Orders, Trouble> {
    let row: Option<Row> = sqlx::query_as(
        "select paused_reason, paused_by, paused_at, resumed_at from destinations where name = $1",
    )
    .bind(destination)
    .fetch_optional(connection)
    .await?;
    let Some((reason, by, paused_at, resumed_at)) = row else {
        return Ok(Orders::default());
    };
    Ok(Orders {
        pause: paused_at.map(|Moment(at)| Pause {
            reason: reason.unwrap_or_default(),
            by: by.unwrap_or_default(),
            at,
        }),
        resumed_at: resumed_at.map(|Moment(at)| at),
    })
}

type Row = (
    Option<String>,
    Option<String>,
    Option<Moment>,
    Option<Moment>,
);
