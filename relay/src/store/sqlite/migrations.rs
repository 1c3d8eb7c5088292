//! Migrations of a `SQLite` store.

use std::collections::HashMap;

use relay_core::time::Timestamp;
use sqlx::SqliteConnection;

use crate::store::lease::Trouble;
use crate::store::migrations::{SQLITE, status};
use crate::store::upkeep::Migration;
use crate::store::words::Table;

const TABLE: Table = Table("_sqlx_migrations");

/// Each migration and when it was applied. Reads only.
pub(super) async fn find(connection: &mut SqliteConnection) -> Result<Vec<Migration>, Trouble> {
    let is_known: bool = sqlx::query_scalar(
        "select count(*) > 0 from sqlite_master where type = 'table' and name = '_sqlx_migrations'",
    )
    .fetch_one(&mut *connection)
    .await?;
    let mut applied_at: HashMap<i64, Timestamp> = HashMap::new();
    if is_known {
        let rows: Vec<(i64, i64)> = sqlx::query_as(
            "select version, unixepoch(installed_on) * 1000000 from _sqlx_migrations where success",
        )
        .fetch_all(connection)
        .await?;
        for (version, at) in rows {
            applied_at.insert(version, TABLE.moment("installed_on", at)?);
        }
    }
    Ok(status(&SQLITE, |version| applied_at.get(&version).copied()))
}
