//! A connection on loan: every wait has a limit, and one that was left in the middle of something is not used again.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use sqlx::Database;
use sqlx::error::DatabaseError;
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgDatabaseError;

use super::StoreError;
use super::error::Place;

/// How long one function of the store may take. Longer than the statement limit of the server, which says more.
pub(super) const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// A pooled connection. Unless it is given back it is closed: the work on it failed, or its caller went away.
pub(super) struct Lease<DB: Database>(Option<PoolConnection<DB>>);

impl<DB: Database> Lease<DB> {
    pub(super) fn new(connection: PoolConnection<DB>) -> Self {
        Self(Some(connection))
    }

    /// Returns the connection to the pool, its work done.
    pub(super) fn give_back(mut self) {
        self.0 = None;
    }
}

impl<DB: Database> Drop for Lease<DB> {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(connection.detach());
        }
    }
}

impl<DB: Database> Deref for Lease<DB> {
    type Target = DB::Connection;

    fn deref(&self) -> &Self::Target {
        self.0.as_ref().expect("held until it is given back")
    }
}

impl<DB: Database> DerefMut for Lease<DB> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.0.as_mut().expect("held until it is given back")
    }
}

/// What went wrong in the middle of a function, before it is known what the function was doing.
#[derive(Debug)]
pub(super) enum Trouble {
    Sql(sqlx::Error),
    Known(StoreError),
}

impl From<sqlx::Error> for Trouble {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Known(error)
    }
}

/// Waits for work, at most [`ANSWER_LIMIT`].
pub(super) async fn within<T>(
    doing: &'static str,
    work: impl Future<Output = Result<T, Trouble>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(ANSWER_LIMIT, work).await {
        Ok(answer) => answer.map_err(|trouble| told(doing, trouble)),
        Err(_) => Err(StoreError::TimedOut {
            doing,
            limit: ANSWER_LIMIT,
        }),
    }
}

/// The trouble as the caller learns of it.
pub(super) fn told(doing: &'static str, trouble: Trouble) -> StoreError {
    match trouble {
        Trouble::Known(error) => error,
        Trouble::Sql(source) => match source.as_database_error().and_then(refusal) {
            Some(refused) => refused,
            None => StoreError::Unavailable { doing, source },
        },
    }
}

/// The refusal of a row, when that is what the database answered.
fn refusal(error: &dyn DatabaseError) -> Option<StoreError> {
    let place = match error.try_downcast_ref::<PgDatabaseError>() {
        Some(error) if is_postgres_refusal(error.code()) => Place {
            table: error.table().map(str::to_owned),
            column: error.column().map(str::to_owned),
            constraint: error.constraint().map(str::to_owned),
            row: None,
        },
        None if is_sqlite_refusal(error.code()?.parse().ok()?) => Place::default(),
        Some(_) | None => return None,
    };
    Some(StoreError::Refused {
        place,
        message: error.message().to_owned(),
    })
}

/// Data exceptions, constraint violations, and values beyond what an index or a row can hold.
fn is_postgres_refusal(code: &str) -> bool {
    ["22", "23", "54"]
        .iter()
        .any(|class| code.starts_with(class))
}

/// `SQLITE_TOOBIG`, `SQLITE_CONSTRAINT` and `SQLITE_MISMATCH`: the low byte of the extended code.
fn is_sqlite_refusal(code: i32) -> bool {
    matches!(code & 0xff, 18..=20)
}

/// Does work on a connection of the store's pool.
macro_rules! on_lease {
    ($store:expr, $doing:literal, |$connection:ident| $work:expr) => {{
        let mut lease = $store.lease($doing).await?;
        let $connection = &mut *lease;
        let answer = $crate::store::lease::within($doing, $work).await?;
        lease.give_back();
        Ok(answer)
    }};
}
pub(super) use on_lease;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_row_can_be_blamed_for_is_a_refusal() {
        for code in ["22021", "23514", "54000"] {
            assert!(is_postgres_refusal(code), "{code}");
        }
        // 25006 is what a server that was made read-only says.
        for code in [
            "25006", "40P01", "42P01", "53300", "55P03", "57014", "57P01",
        ] {
            assert!(!is_postgres_refusal(code), "{code}");
        }
        // SQLITE_CONSTRAINT_CHECK, SQLITE_CONSTRAINT_DATATYPE, SQLITE_TOOBIG
        for code in [275, 3091, 18] {
            assert!(is_sqlite_refusal(code), "{code}");
        }
        // SQLITE_BUSY, SQLITE_FULL, SQLITE_IOERR_WRITE
        for code in [5, 13, 778] {
            assert!(!is_sqlite_refusal(code), "{code}");
        }
    }
}
