//! Batches of which nobody knows how much was written: the connection broke, and the commit may have gone through.
//!
//! Their ledger and their parked rows may be written twice and say the same; a row of the log would stand there twice.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use relay_core::names::{DeliveryId, KeyHash};
use relay_core::rows::{AttemptRow, Batch};
use relay_core::time::Timestamp;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::moment::Moment;
use crate::store::lease::Trouble;
use crate::store::words::{Table, counted, signed};

const TABLE: Table = Table("attempts");

/// What tells a row of this replica's log from all others.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Mark {
    id: DeliveryId,
    attempt: i32,
    attempted_at: i64,
}

impl Mark {
    fn of(row: &AttemptRow) -> Self {
        Self::new(row.subject.id, counted(row.attempt), row.attempted_at)
    }

    fn new(id: DeliveryId, attempt: i32, attempted_at: Timestamp) -> Self {
        Self {
            id,
            attempt,
            // As exact as the database keeps it.
            attempted_at: attempted_at.as_microsecond(),
        }
    }
}

/// Rows that may stand in the log. Each destination writes one batch at a time, so they are few.
#[derive(Debug, Default)]
pub(super) struct Unsure(Mutex<HashSet<Mark>>);

impl Unsure {
    /// A batch ended in trouble.
    pub(super) fn remember(&self, batch: &Batch) {
        self.marks().extend(batch.attempts.iter().map(Mark::of));
    }

    /// A batch is known to be written.
    pub(super) fn forget(&self, batch: &Batch) {
        let mut marks = self.marks();
        if !marks.is_empty() {
            for row in &batch.attempts {
                marks.remove(&Mark::of(row));
            }
        }
    }

    /// Whether a batch comes again that ended in trouble.
    fn has_any_of(&self, rows: &[AttemptRow]) -> bool {
        let marks = self.marks();
        !marks.is_empty() && rows.iter().any(|row| marks.contains(&Mark::of(row)))
    }

    /// The rows that do not stand in the log; none where all of them are new.
    pub(super) async fn missing(
        &self,
        connection: &mut PgConnection,
        rows: &[AttemptRow],
        replica: &str,
    ) -> Result<Option<Vec<AttemptRow>>, Trouble> {
        if !self.has_any_of(rows) {
            return Ok(None);
        }
        let written = find_written(connection, rows, replica).await?;
        let missing = rows.iter().filter(|row| !written.contains(&Mark::of(row)));
        Ok(Some(missing.cloned().collect()))
    }

    fn marks(&self) -> MutexGuard<'_, HashSet<Mark>> {
        // Marks too many or too few cost a look, or a row that stands there twice; never more.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn find_written(
    connection: &mut PgConnection,
    rows: &[AttemptRow],
    replica: &str,
) -> Result<HashSet<Mark>, Trouble> {
    let ids = rows.iter().map(|row| row.subject.id);
    let (key_hashes, versions): (Vec<Uuid>, Vec<i64>) = ids
        .map(|id| (Uuid::from_bytes(id.key_hash.0), signed(id.version)))
        .unzip();
    let found = sqlx::query(
        "
        select key_hash, version, attempt, attempted_at from attempts
        join unnest($1::uuid[], $2::bigint[]) as asked (key_hash, version) using (key_hash, version)
        where replica = $3
        ",
    )
    .bind(key_hashes)
    .bind(versions)
    .bind(replica)
    .fetch_all(connection)
    .await?;
    let mark = |row: &sqlx::postgres::PgRow| {
        let id = DeliveryId {
            key_hash: KeyHash(row.try_get::<Uuid, _>("key_hash")?.into_bytes()),
            version: TABLE.number("version", row.try_get("version")?)?,
        };
        let attempted_at: Moment = row.try_get("attempted_at")?;
        Ok(Mark::new(id, row.try_get("attempt")?, attempted_at.0))
    };
    found.iter().map(mark).collect()
}
