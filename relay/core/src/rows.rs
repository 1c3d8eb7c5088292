//! What the store is told to keep: the log, the ledger, the watermarks and the parked deliveries.
//!
//! A [`Batch`] is one transaction. Offsets are committed to Kafka only after it is durable.

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::Duration;

use crate::exchange::{ErrorClass, Timings};
use crate::names::{ContentHash, Coordinates, DeliveryId, KeyHash, Operation, Partition, Stream};
use crate::time::Timestamp;

/// Everything that becomes durable together.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    pub attempts: Vec<AttemptRow>,
    pub ledger: Vec<LedgerEntry>,
    pub watermarks: Vec<Watermark>,
    /// In order: a later change of a delivery wins.
    pub parked: Vec<ParkedChange>,
}

impl Batch {
    pub fn is_empty(&self) -> bool {
        self.attempts.is_empty()
            && self.ledger.is_empty()
            && self.watermarks.is_empty()
            && self.parked.is_empty()
    }
}

/// A row of the log: one attempt, or the end of a record without one (attempt 0).
#[derive(Debug, Clone)]
pub struct AttemptRow {
    /// `expires_at` = the database's time + this, clamped into the partitions that exist.
    pub retention: Duration,
    pub attempted_at: Timestamp,
    pub subject: Subject,
    pub attempt: u32,
    pub cause: Cause,
    pub outcome: Outcome,
    pub status: Option<u16>,
    pub error_class: Option<ErrorClass>,
    pub error: Option<String>,
    /// What was sent and what came back; none without a request.
    pub exchange: Option<ExchangeRow>,
    /// The request that carried it, where requests carry several.
    pub batch_id: Option<Arc<str>>,
    pub coordinates: Coordinates,
}

/// Whose row it is.
#[derive(Debug, Clone)]
pub struct Subject {
    pub destination: Arc<str>,
    pub id: DeliveryId,
    /// None where the record was unreadable.
    pub record: Option<RecordName>,
}

/// The readable identity of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordName {
    pub stream: Arc<Stream>,
    pub key: Arc<str>,
    pub operation: Operation,
}

/// The request of an attempt as the log shows it: secrets and sensitive values masked, bodies by policy.
#[derive(Debug, Clone, Default)]
pub struct ExchangeRow {
    pub method: &'static str,
    pub url: Arc<str>,
    /// JSON object of strings.
    pub request_headers: Option<String>,
    pub request_body: Option<Vec<u8>>,
    /// JSON object of strings.
    pub response_headers: Option<String>,
    pub response_body: Option<Vec<u8>>,
    pub timings: Timings,
}

/// Why a record was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    Live,
    Snapshot,
    Retry,
    Manual,
}

impl Cause {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Snapshot => "snapshot",
            Self::Retry => "retry",
            Self::Manual => "manual",
        }
    }
}

/// How an attempt, or a record without one, ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    Delivered,
    Stale,
    Superseded,
    Retryable,
    Rejected,
    Quarantined,
    Discarded,
}

impl Outcome {
    pub const ALL: [Self; 7] = [
        Self::Delivered,
        Self::Stale,
        Self::Superseded,
        Self::Retryable,
        Self::Rejected,
        Self::Quarantined,
        Self::Discarded,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Stale => "stale",
            Self::Superseded => "superseded",
            Self::Retryable => "retryable",
            Self::Rejected => "rejected",
            Self::Quarantined => "quarantined",
            Self::Discarded => "discarded",
        }
    }

    /// The outcome of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|outcome| outcome.as_str() == name)
    }

    /// Kept as long as successes are.
    pub fn is_success(self) -> bool {
        matches!(self, Self::Delivered | Self::Stale | Self::Superseded)
    }
}

/// What a destination acknowledged of a key. Written only over a lower version; an acknowledgement below the stored
/// version marks the key suspect instead.
#[derive(Debug, Clone)]
pub struct LedgerEntry {
    pub stream: Arc<Stream>,
    pub key_hash: KeyHash,
    pub key: Arc<str>,
    pub version: u64,
    pub content_hash: ContentHash,
    pub mapping_fingerprint: u64,
    pub is_deleted: bool,
    /// The consumer holds another version than was sent.
    pub is_suspect: bool,
    pub acknowledged_at: Timestamp,
    /// Of a version that the consumer named: when that was at the latest.
    pub committed_at: Timestamp,
}

/// What the ledger holds of a key, as far as deliveries depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    pub version: u64,
    pub content_hash: ContentHash,
    pub is_deleted: bool,
    /// The consumer may hold something else.
    pub is_suspect: bool,
    pub committed_at: Timestamp,
}

impl Held {
    /// What is held where two know of it: the newer.
    #[must_use]
    pub fn or_newer(self, other: Self) -> Self {
        match self.version.cmp(&other.version) {
            Ordering::Less => other,
            Ordering::Greater => self,
            Ordering::Equal => Self {
                is_suspect: self.is_suspect || other.is_suspect,
                ..self
            },
        }
    }
}

impl From<&LedgerEntry> for Held {
    fn from(entry: &LedgerEntry) -> Self {
        Self {
            version: entry.version,
            content_hash: entry.content_hash,
            is_deleted: entry.is_deleted,
            is_suspect: entry.is_suspect,
            committed_at: entry.committed_at,
        }
    }
}

/// The highest acknowledged version of a stream's partition, and the highest offset; only ever raised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watermark {
    pub stream: Arc<Stream>,
    pub partition: i32,
    pub version_max: u64,
    /// The highest offset of what was acknowledged; none where all of it came from the store.
    pub offset_max: Option<i64>,
}

/// A change to the undelivered records.
#[derive(Debug, Clone)]
pub enum ParkedChange {
    /// Insert, or replace the row of this delivery. Boxed: most batches hold none.
    Keep(Box<ParkedRow>),
    /// The delivery has ended; its log row is in the same batch.
    Remove(DeliveryId),
    /// The key of this delivery belongs to another partition now, whose owner retries it from then on.
    Move(DeliveryId, Move),
}

impl ParkedChange {
    /// The delivery that changes.
    pub fn id(&self) -> DeliveryId {
        match self {
            Self::Keep(row) => row.subject.id,
            Self::Remove(id) | Self::Move(id, _) => *id,
        }
    }
}

/// From one partition of a topic to another. Repeated, it changes nothing: the row is not there any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    pub from: i32,
    pub to: HomePartition,
}

/// The partition whose owner retries an undelivered record: the one it was read from, until the topic gets more of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HomePartition {
    pub number: i32,
    /// How many there were when that was found; none where nobody knew.
    pub of: Option<i32>,
}

/// An undelivered record as the store holds it.
#[derive(Debug, Clone)]
pub struct ParkedRow {
    pub subject: Subject,
    /// The Kafka value as read; none when it was null.
    pub record: Option<Arc<[u8]>>,
    pub state: ParkedState,
    pub attempts: u32,
    pub charged: u32,
    /// None where that cannot be read.
    pub committed_at: Option<Timestamp>,
    pub first_failed_at: Timestamp,
    pub last_failed_at: Timestamp,
    pub last_status: Option<u16>,
    /// None for a record that took the place of a waiting one and was never tried itself.
    pub error_class: Option<ErrorClass>,
    pub error: String,
    /// Where it was read.
    pub coordinates: Coordinates,
    pub home: HomePartition,
}

impl ParkedRow {
    /// Whose it is.
    pub fn partition(&self) -> Partition {
        Partition {
            topic: self.coordinates.topic.clone(),
            number: self.home.number,
        }
    }
}

/// Where an undelivered record waits, and for whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParkedState {
    /// A retry is due.
    Parked {
        reason: ParkedReason,
        next_attempt_at: Timestamp,
    },
    /// Retries are used up.
    Exhausted,
    /// The consumer refused the record.
    Rejected,
    /// It cannot be decoded or mapped.
    Quarantined,
}

impl ParkedState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Parked { .. } => "parked",
            Self::Exhausted => "exhausted",
            Self::Rejected => "rejected",
            Self::Quarantined => "quarantined",
        }
    }
}

/// Why a retry is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParkedReason {
    /// Its own failures.
    Retry,
    /// It was the probe of an open breaker, which failed.
    Probe,
    /// A person asked.
    Manual,
}

impl ParkedReason {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Probe => "probe",
            Self::Manual => "manual",
        }
    }

    /// The reason of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Retry, Self::Probe, Self::Manual]
            .into_iter()
            .find(|reason| reason.as_str() == name)
    }
}

/// What the store knows of a partition when it is assigned.
#[derive(Debug, Clone, Default)]
pub struct PartitionState {
    /// Its undelivered records.
    pub parked: Vec<ParkedEntry>,
    /// The highest acknowledged version; after a change of the partition count, the highest of all partitions.
    pub watermark: u64,
    /// The highest offset that was acknowledged; none where nothing was.
    pub offset_max: Option<i64>,
}

/// The last change of a topic's partition count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountChange {
    /// How many there were before.
    pub before: i32,
    /// How long ago the first replica saw it, by one clock for all.
    pub age: Duration,
}

/// What Kafka knows of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The first offset there is.
    pub begin: i64,
    /// The next offset that the group is to read; none where it never committed one, or that has expired.
    pub committed: Option<i64>,
}

/// What the owner of a partition remembers of an undelivered record: all but its bytes and its failure.
#[derive(Debug, Clone)]
pub struct ParkedEntry {
    pub subject: Subject,
    pub state: ParkedState,
    pub attempts: u32,
    pub charged: u32,
    pub committed_at: Option<Timestamp>,
    pub first_failed_at: Timestamp,
    /// Where it was read.
    pub coordinates: Coordinates,
    pub home: HomePartition,
}

impl ParkedEntry {
    /// Whose it is.
    pub fn partition(&self) -> Partition {
        Partition {
            topic: self.coordinates.topic.clone(),
            number: self.home.number,
        }
    }
}
