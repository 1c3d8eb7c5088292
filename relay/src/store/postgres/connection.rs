//! Connections to Postgres, pooled and single: to a server that takes writes, or none.

use std::io;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, Executor, PgConnection, PgPool, Postgres};

use super::PostgresStore;
use super::streams::Streams;
use crate::store::StoreError;
use crate::store::lease::Lease;

/// How long a connection may take to be made or to become free.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// What the server itself gives up on, a little before this side does: nothing runs on after its caller has left.
const SERVER_LIMITS: &str = "set statement_timeout = '25s'; set lock_timeout = '10s'; \
     set idle_in_transaction_session_timeout = '60s'";

/// What the URL says.
pub(super) fn options(url: &str) -> Result<PgConnectOptions, StoreError> {
    let options = PgConnectOptions::from_str(url).map_err(|e| StoreError::Url(e.to_string()))?;
    Ok(options
        .application_name("replicates-relay")
        // Every statement would be formatted for a log that nobody reads.
        .disable_statement_logging())
}

/// What a failover leaves behind an address for a while: a server that is not the primary, or is no more. It would answer what
/// it knows, which may be old: then a record would be sent again, or one in the wrong order.
const TAKES_NO_WRITES: &str = "the server takes no writes: it is a standby, or was made read-only";

/// A pool that connects when it is first used. Each connection is looked at before it is used, as sqlx would by itself, only
/// that it has to be of use for writing, too: the server behind it may have lost its place.
///
/// Each that is made may lead to another primary than those before, which knows streams by other numbers.
pub(super) fn pool(
    options: &PgConnectOptions,
    connections_max: u32,
    streams: &Arc<Streams>,
    is_of_use: &Arc<AtomicBool>,
) -> PgPool {
    let (streams, is_of_use) = (streams.clone(), is_of_use.clone());
    PgPoolOptions::new()
        .max_connections(connections_max)
        .acquire_timeout(CONNECT_LIMIT)
        .after_connect(move |connection, _| {
            let (streams, is_of_use) = (streams.clone(), is_of_use.clone());
            Box::pin(async move {
                is_of_use.store(false, Relaxed);
                run(connection, SERVER_LIMITS).await?;
                require_writable(connection).await?;
                is_of_use.store(true, Relaxed);
                streams.forget();
                Ok(())
            })
        })
        .test_before_acquire(false)
        .before_acquire(|connection, _| {
            Box::pin(async move { require_writable(connection).await.map(|()| true) })
        })
        .connect_lazy_with(options.clone())
}

impl PostgresStore {
    /// A pooled connection.
    pub(super) async fn lease(&self, doing: &'static str) -> Result<Lease<Postgres>, StoreError> {
        match self.pool.acquire().await {
            Ok(connection) => Ok(Lease::new(connection)),
            // The pool goes on trying and then only says that time is up; a connection of one's own says why.
            Err(sqlx::Error::PoolTimedOut)
                if self.pool.size() == 0 || !self.is_of_use.load(Relaxed) =>
            {
                self.connect(doing).await?.close_hard().await.ok();
                Err(unavailable(doing, sqlx::Error::PoolTimedOut))
            }
            Err(source) => Err(unavailable(doing, source)),
        }
    }

    /// A connection outside the pool, without limits: for work that takes its time.
    pub(super) async fn connect(&self, doing: &'static str) -> Result<PgConnection, StoreError> {
        let connecting = async {
            let mut connection = PgConnection::connect_with(&self.options).await?;
            require_writable(&mut connection).await?;
            Ok(connection)
        };
        match tokio::time::timeout(CONNECT_LIMIT, connecting).await {
            Ok(answer) => answer.map_err(|source| unavailable(doing, source)),
            Err(_) => Err(StoreError::TimedOut {
                doing,
                limit: CONNECT_LIMIT,
            }),
        }
    }
}

/// One round trip.
async fn require_writable(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let is_read_only = sqlx::query_scalar("select current_setting('transaction_read_only')::bool");
    if is_read_only.fetch_one(connection).await? {
        return Err(sqlx::Error::Io(io::Error::new(
            io::ErrorKind::ReadOnlyFilesystem,
            TAKES_NO_WRITES,
        )));
    }
    Ok(())
}

/// Runs statements that take no parameters and answer nothing; several may be separated by semicolons.
pub(super) async fn run(connection: &mut PgConnection, sql: &str) -> Result<(), sqlx::Error> {
    connection.execute(sql).await?;
    Ok(())
}

fn unavailable(doing: &'static str, source: sqlx::Error) -> StoreError {
    StoreError::Unavailable { doing, source }
}
