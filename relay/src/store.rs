//! The relay's store: what must outlive a replica.
//!
//! One trait, two implementations that pass one conformance suite: Postgres for production, `SQLite` for `dev` and tests.
//! A handle serves the runtime that opened it: a thread with a runtime of its own opens its own.
//!
//! - [`delivery`]: a delivery as people see it, found by filters
//! - [`attempt`]: a row of the log, read back
//! - [`undelivered`]: what the owner of a partition loads
//! - [`replica`]: what replicas say of themselves
//! - [`claim`]: a write that is done once
//! - [`pause`]: a destination that an operator has stopped, or has let go on
//! - [`upkeep`]: migrations, and the partitions of the log
//! - [`error`]: what can go wrong
//!
//! Behind the trait: `reduce` (what a batch comes down to), `bisect` (around a refused row), `body` and `text` (what is
//! stored of them), `lease` (connections), `words` (back into types), `migrations`, `postgres`, `sqlite`.
pub mod attempt;
mod audit;
pub mod claim;
pub mod delivery;
pub mod error;
pub mod pause;
pub mod replica;
pub mod undelivered;
pub mod upkeep;

mod bisect;
mod body;
mod lease;
mod migrations;
mod postgres;
mod reduce;
mod sqlite;
mod text;
mod words;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use relay_core::names::{DeliveryId, KeyHash, Partition, Stream};
use relay_core::rows::{Batch, Held, LedgerEntry, ParkedEntry, ParkedRow};
use relay_core::time::Timestamp;

use self::postgres::PostgresStore;
use self::sqlite::SqliteStore;

pub use self::attempt::{Attempt, AttemptCursor, AttemptFilter, LoggedExchange};
pub use self::audit::Audit;
pub use self::claim::Claim;
pub use self::delivery::{
    Delivery, DeliveryCursor, DeliveryFilter, DeliveryState, Page, RetryAnswer, RetryRequest,
};
pub use self::error::StoreError;
pub use self::pause::{Orders, Pause, PauseRequest, Wish};
pub use self::replica::{MappingRow, ReplicaRow, ReplicaState};
pub use self::undelivered::{Counts, NotedCount, Owned, StoredPartition};
pub use self::upkeep::{LongestRetention, Migration, Partitions, Upkeep};

/// How a store is opened.
#[derive(Clone)]
pub struct Open {
    /// `postgres://…`, `sqlite://path`, or `sqlite://name?mode=memory`, which the handles of this process share; may hold
    /// a password.
    pub url: String,
    pub connections_max: u32,
    pub partition_width: Duration,
    /// Partitions kept ready beyond the furthest expiry in use.
    pub partitions_ahead: u32,
    pub longest_retention: LongestRetention,
    /// Bodies are compressed where that makes them smaller.
    pub compress: bool,
    /// This replica's name, as the log shows it.
    pub replica: String,
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Open")
            .field("url", &"***")
            .field("connections_max", &self.connections_max)
            .field("partition_width", &self.partition_width)
            .field("partitions_ahead", &self.partitions_ahead)
            .field("longest_retention", &self.longest_retention)
            .field("compress", &self.compress)
            .field("replica", &self.replica)
            .finish()
    }
}

/// What the relay keeps, and how it finds it again.
///
/// Every function fails with [`StoreError::Unavailable`] while the store cannot be reached; every wait has a limit.
#[async_trait]
pub trait Store: Send + Sync {
    // The log thread.

    /// Makes a batch durable: log, ledger, watermarks and undelivered records in one transaction.
    ///
    /// A batch refused because of a row is halved until the row is found, each half a transaction of its own; that row
    /// is written again without bodies, headers and error text. May be repeated after an error: a repeated batch may
    /// duplicate rows of the log, and changes nothing else.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when even the bare row is refused, [`StoreError::NoPartition`] when the log has nowhere
    /// to put rows. Either way the store counts as down.
    async fn keep(&self, batch: &Batch) -> Result<(), StoreError>;

    // The owner of a partition.

    /// What the store holds of a partition that was just assigned: its undelivered records without their bytes, and the
    /// watermarks of its whole stream.
    async fn load_partition(
        &self,
        stream: &Stream,
        partition: &Partition,
    ) -> Result<StoredPartition, StoreError>;

    /// What is acknowledged of keys; a key that was never acknowledged is left out.
    async fn load_ledger(
        &self,
        stream: &Stream,
        key_hashes: &[KeyHash],
    ) -> Result<Vec<(KeyHash, Held)>, StoreError>;

    /// Undelivered records with their bytes; those that are gone are left out.
    async fn load_parked(&self, ids: &[DeliveryId]) -> Result<Vec<ParkedRow>, StoreError>;

    /// Deliveries of these partitions that a person asked to retry, oldest first, at most `limit`. Cheap enough to be
    /// asked every second. A delivery is found again until its attempt has been kept.
    async fn find_manual_retries(
        &self,
        destination: &str,
        partitions: &[Partition],
        limit: u32,
    ) -> Result<Vec<ParkedEntry>, StoreError>;

    /// Undelivered records that were handed to these partitions, at most `limit`; what belongs to partitions that their topics
    /// do not have any more is handed to the first of each. Cheap enough to be asked every second. Each is found once: its
    /// partition's next owner loads it.
    async fn take_moved(
        &self,
        destination: &str,
        owned: &Owned<'_>,
        limit: u32,
    ) -> Result<Vec<ParkedEntry>, StoreError>;

    /// Notes how many partitions a stream's topic has.
    async fn note_partition_count(
        &self,
        stream: &Stream,
        count: i32,
    ) -> Result<NotedCount, StoreError>;

    /// Undelivered records of a destination by state. Each count stops at `at_most`, so that its cost is bounded.
    async fn count_undelivered(
        &self,
        destination: &str,
        at_most: u64,
    ) -> Result<Counts, StoreError>;

    /// Notes that a destination exists; the first time counts.
    async fn record_destination(
        &self,
        destination: &str,
        seen_at: Timestamp,
    ) -> Result<(), StoreError>;

    /// What this replica says of its destinations, and the mappings it saw. Replaces what it said before.
    async fn record_replica(
        &self,
        rows: &[ReplicaRow],
        mappings: &[MappingRow],
    ) -> Result<(), StoreError>;

    // Upkeep.

    /// The migrations this binary carries, in order, and when each was applied.
    async fn migrations(&self) -> Result<Vec<Migration>, StoreError>;

    /// Applies what is pending under an advisory lock; the names of what it applied.
    async fn migrate(&self) -> Result<Vec<String>, StoreError>;

    /// Refuses a store with pending migrations.
    ///
    /// # Errors
    /// [`StoreError::Pending`] with their names.
    async fn require_migrated(&self) -> Result<(), StoreError> {
        let pending: Vec<String> = self
            .migrations()
            .await?
            .into_iter()
            .filter(|migration| migration.applied_at.is_none())
            .map(|migration| migration.name)
            .collect();
        if pending.is_empty() {
            Ok(())
        } else {
            Err(StoreError::Pending(pending))
        }
    }

    /// One round trip.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Whether the log's partitions reach far enough ahead.
    async fn partitions(&self) -> Result<Partitions, StoreError>;

    /// Makes partitions ahead, drops those that have ended, forgets expired idempotency keys. Run at start, before the
    /// first [`keep`](Self::keep), and then at least once per partition width; replicas take turns by themselves.
    async fn maintain(&self) -> Result<Upkeep, StoreError>;

    // The admin API.

    /// Undelivered records, newest first.
    async fn deliveries(
        &self,
        filter: &DeliveryFilter,
        after: Option<DeliveryCursor>,
        limit: u32,
    ) -> Result<Page<Delivery, DeliveryCursor>, StoreError>;

    /// A delivery: undelivered, or as far as the log still knows it.
    async fn delivery(&self, id: DeliveryId) -> Result<Option<Delivery>, StoreError>;

    /// The attempts of a delivery that have not expired, newest first, at most `limit`.
    async fn delivery_attempts(
        &self,
        id: DeliveryId,
        limit: u32,
    ) -> Result<Vec<Attempt>, StoreError>;

    /// The log, newest first, expired rows hidden.
    async fn attempts(
        &self,
        filter: &AttemptFilter,
        after: Option<AttemptCursor>,
        limit: u32,
    ) -> Result<Page<Attempt, AttemptCursor>, StoreError>;

    /// What a destination acknowledged of a key.
    async fn ledger_entry(
        &self,
        stream: &Stream,
        key: &str,
    ) -> Result<Option<LedgerEntry>, StoreError>;

    /// What replicas said of themselves within this time.
    async fn replicas(&self, within: Duration) -> Result<Vec<ReplicaRow>, StoreError>;

    /// The mappings seen of a destination's models.
    async fn mappings(&self, destination: &str) -> Result<Vec<MappingRow>, StoreError>;

    /// Destinations the store has met, configured or not, by name.
    async fn destinations(&self) -> Result<Vec<String>, StoreError>;

    /// Pauses a destination, or lets it go on, and notes who asked in the audit list. One that was never met is met now.
    async fn set_pause(&self, request: &PauseRequest) -> Result<(), StoreError>;

    /// Whether a destination is paused, and when it was last let go on. Cheap enough to be asked every second.
    async fn orders(&self, destination: &str) -> Result<Orders, StoreError>;

    /// Makes an undelivered record due now with a fresh budget, and notes who asked in the audit list.
    async fn retry(&self, request: &RetryRequest) -> Result<RetryAnswer, StoreError>;

    /// Notes in the audit list what somebody asked for that is not kept in the store.
    async fn note(&self, audit: &Audit) -> Result<(), StoreError>;

    /// Claims an idempotency key until then, if nobody has it; whoever has it keeps it.
    async fn claim_key(
        &self,
        key: &str,
        body_hash: &[u8],
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Claim, StoreError>;

    /// Keeps the answer to the write whose key was claimed until then, unless somebody else has claimed it since; of two the
    /// first stays.
    async fn keep_answer(
        &self,
        key: &str,
        claimed_until: Timestamp,
        response: &str,
        expires_at: Timestamp,
    ) -> Result<(), StoreError>;

    /// Gives up the claim until then, whose write came to nothing: the next may try.
    async fn give_up_key(&self, key: &str, claimed_until: Timestamp) -> Result<(), StoreError>;
}

/// Opens the store that the URL names. Connects when it is first used, so this only fails on a URL that is wrong. Called
/// within the runtime that will use the handle.
///
/// # Errors
/// [`StoreError::Url`] when the URL names no store this relay knows.
pub fn open(open: &Open) -> Result<Arc<dyn Store>, StoreError> {
    match open.url.split_once("://").map(|(scheme, _)| scheme) {
        Some("postgres" | "postgresql") => Ok(Arc::new(PostgresStore::open(open)?)),
        Some("sqlite") => Ok(Arc::new(SqliteStore::open(open)?)),
        scheme => Err(StoreError::Url(format!(
            "it begins with {:?}, not with postgres:// or sqlite://",
            scheme.unwrap_or_default()
        ))),
    }
}
