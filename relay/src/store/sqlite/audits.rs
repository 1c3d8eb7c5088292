//! The audit list.

use sqlx::SqliteConnection;

use crate::store::audit::Audit;
use crate::store::lease::Trouble;

/// Adds a line.
pub(super) async fn note(connection: &mut SqliteConnection, audit: &Audit) -> Result<(), Trouble> {
    sqlx::query(
        "insert into audit (at, token_name, action, target, detail) values (?, ?, ?, ?, ?)",
    )
    .bind(audit.at.as_microsecond())
    .bind(&audit.token_name)
    .bind(audit.action)
    .bind(&audit.target)
    .bind(&audit.detail)
    .execute(connection)
    .await?;
    Ok(())
}
