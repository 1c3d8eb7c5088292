//! What can go wrong between the relay and its store.

use std::fmt;
use std::time::Duration;

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The URL names no store this relay knows. Holds what is wrong, never the URL: it may carry a password.
    #[error("store.url is not usable: {0}")]
    Url(String),
    /// It cannot be reached, or cannot do this now.
    #[error("the store is unavailable while {doing}: {source}")]
    Unavailable {
        doing: &'static str,
        source: sqlx::Error,
    },
    /// It did not answer in time.
    #[error("the store did not answer within {limit:?} while {doing}")]
    TimedOut {
        doing: &'static str,
        limit: Duration,
    },
    /// It answered, and will not take this row.
    #[error("the store refused {place}: {message}")]
    Refused { place: Place, message: String },
    /// The log has no partition that could take a row.
    #[error("the log has no partition that takes rows; upkeep makes them when the relay starts")]
    NoPartition,
    /// It holds a value that this version of the relay does not know.
    #[error("{table}.{column} holds {value:?}, which this relay does not know")]
    Unreadable {
        table: &'static str,
        column: &'static str,
        value: String,
    },
    /// Migrations are missing.
    #[error("the store has pending migrations: {}; run `replicates-relay migrate`", .0.join(", "))]
    Pending(Vec<String>),
    /// A migration did not go through.
    #[error("migration failed: {0}")]
    Migration(#[source] sqlx::migrate::MigrateError),
}

/// Where a row was refused, as far as the store says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    pub table: Option<String>,
    pub column: Option<String>,
    pub constraint: Option<String>,
    /// The delivery, where one was found guilty.
    pub row: Option<String>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.row {
            Some(row) => write!(f, "{row}")?,
            None => write!(f, "a row")?,
        }
        if let Some(table) = &self.table {
            write!(f, " in {table}")?;
        }
        if let Some(column) = &self.column {
            write!(f, ", column {column}")?;
        }
        if let Some(constraint) = &self.constraint {
            write!(f, ", constraint {constraint}")?;
        }
        Ok(())
    }
}

impl StoreError {
    /// A row is to blame: without it the rest of its batch could be written.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }
}
