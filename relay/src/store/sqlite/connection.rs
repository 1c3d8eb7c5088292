//! Connections to a `SQLite` file, or to a named database in memory.

use std::str::FromStr;
use std::time::Duration;

use relay_core::time::Timestamp;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Sqlite, SqliteConnection, SqlitePool};

use super::SqliteStore;
use crate::store::StoreError;
use crate::store::lease::{Lease, Trouble};
use crate::store::words::Table;

/// How long one handle waits for another's transaction.
const BUSY_LIMIT: Duration = Duration::from_secs(5);

/// What the URL says: `sqlite://path`, or `sqlite://name?mode=memory` for a database that the handles of this process
/// share and that ends with the last of them.
fn options(url: &str) -> Result<SqliteConnectOptions, StoreError> {
    let options = SqliteConnectOptions::from_str(url)
        .map_err(|e| StoreError::Url(e.to_string()))?
        .create_if_missing(true)
        .foreign_keys(true)
        .busy_timeout(BUSY_LIMIT)
        .disable_statement_logging();
    if url.contains("mode=memory") {
        // Only a name that is a URI is shared between connections: https://www.sqlite.org/inmemorydb.html
        let name = options.get_filename().display().to_string();
        let uri = if name.starts_with("file:") {
            name
        } else {
            format!("file:{name}")
        };
        return Ok(options.filename(uri));
    }
    Ok(options
        .journal_mode(SqliteJournalMode::Wal)
        // As durable as a commit is promised to be: WAL alone may lose the last ones when the machine stops.
        .synchronous(SqliteSynchronous::Full))
}

/// One connection, kept for good: `SQLite` has one writer, and a database in memory lives as long as it is open.
pub(super) fn pool(url: &str) -> Result<SqlitePool, StoreError> {
    Ok(SqlitePoolOptions::new()
        .max_connections(1)
        .min_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .acquire_timeout(BUSY_LIMIT)
        .connect_lazy_with(options(url)?))
}

impl SqliteStore {
    /// The connection, as soon as it is free.
    pub(super) async fn lease(&self, doing: &'static str) -> Result<Lease<Sqlite>, StoreError> {
        match self.pool.acquire().await {
            Ok(connection) => Ok(Lease::new(connection)),
            Err(source) => Err(StoreError::Unavailable { doing, source }),
        }
    }
}

/// The clock that expiries are counted by: the machine's, as the database reads it.
pub(super) async fn find_now(connection: &mut SqliteConnection) -> Result<Timestamp, Trouble> {
    let now: i64 = sqlx::query_scalar("select cast(unixepoch('subsec') * 1000000 as integer)")
        .fetch_one(connection)
        .await?;
    Ok(Table("unixepoch").moment("now", now)?)
}
