//! The audit list.

use sqlx::PgConnection;

use super::moment::Moment;
use crate::store::audit::Audit;
use crate::store::lease::Trouble;

/// Adds a line.
pub(super) async fn note(connection: &mut PgConnection, audit: &Audit) -> Result<(), Trouble> {
    sqlx::query(
        "insert into audit (at, token_name, action, target, detail) values ($1, $2, $3, $4, $5)",
    )
    .bind(Moment(audit.at))
    .bind(&audit.token_name)
    .bind(audit.action)
    .bind(&audit.target)
    .bind(&audit.detail)
    .execute(connection)
    .await?;
    Ok(())
}
