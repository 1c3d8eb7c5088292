//! Migrations of a Postgres store.

use std::collections::HashMap;

use sqlx::{Connection, PgConnection};

use super::connection::run;
use super::moment::Moment;
use crate::store::StoreError;
use crate::store::lease::{Trouble, told};
use crate::store::migrations::{POSTGRES, applied, status};
use crate::store::upkeep::Migration;

/// How long another replica's migrations are waited for.
const LOCK_LIMIT: &str = "set lock_timeout = '10min'";

/// Each migration and when it was applied. Reads only.
pub(super) async fn find(connection: &mut PgConnection) -> Result<Vec<Migration>, Trouble> {
    let is_known: bool = sqlx::query_scalar("select to_regclass('_sqlx_migrations') is not null")
        .fetch_one(&mut *connection)
        .await?;
    let rows: Vec<(i64, Moment)> = if is_known {
        sqlx::query_as("select version, installed_on from _sqlx_migrations where success")
            .fetch_all(connection)
            .await?
    } else {
        Vec::new()
    };
    let applied_at: HashMap<i64, Moment> = rows.into_iter().collect();
    Ok(status(&POSTGRES, |version| {
        applied_at.get(&version).map(|Moment(at)| *at)
    }))
}

/// Applies what is pending, under the migrator's advisory lock.
pub(super) async fn apply(mut connection: PgConnection) -> Result<Vec<String>, StoreError> {
    const DOING: &str = "migrating";
    let say = |error: Trouble| told(DOING, error);
    run(&mut connection, LOCK_LIMIT)
        .await
        .map_err(|error| say(error.into()))?;
    let before = find(&mut connection).await.map_err(say)?;
    POSTGRES
        .run_direct(&mut connection)
        .await
        .map_err(StoreError::Migration)?;
    let after = find(&mut connection).await.map_err(say)?;
    connection
        .close()
        .await
        .map_err(|error| say(error.into()))?;
    Ok(applied(&before, &after))
}
