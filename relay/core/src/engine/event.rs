//! Everything that can happen to an engine, and everything it can ask for.

use std::sync::Arc;

use crate::exchange::{Exchange, HttpRequest};
use crate::names::{Coordinates, DeliveryId, KeyHash, Partition, Stream};
use crate::rows::{Batch, Bounds, CountChange, Held, ParkedEntry, ParkedRow, PartitionState};
use crate::settings::Destination;
use crate::time::Timestamp;

/// A request in flight, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// A record as Kafka delivered it.
#[derive(Debug, Clone)]
pub struct KafkaRecord {
    pub coordinates: Coordinates,
    pub timestamp: Timestamp,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    /// The header `schema-version`.
    pub schema_version: Option<Vec<u8>>,
    /// The header `traceparent`.
    pub traceparent: Option<Vec<u8>>,
}

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// The destination's settings were replaced. What is on its way ends under the old ones.
    Configured {
        settings: Arc<Destination>,
        /// This destination's share of the memory for records.
        buffer_bytes_max: usize,
    },
    /// The group gave us a partition. It is paused until it has been loaded.
    Assigned { partition: Partition },
    /// The store told what it knows of a partition.
    Loaded {
        partition: Partition,
        state: PartitionState,
    },
    /// Kafka told where a partition begins, and what was committed of it.
    Bounds {
        partition: Partition,
        bounds: Bounds,
    },
    /// A record was read.
    Record(KafkaRecord),
    /// The ledger told what it holds of the keys asked for; those it does not know are missing.
    LedgerRead {
        partition: Partition,
        asked: Vec<KeyHash>,
        found: Vec<(KeyHash, Held)>,
    },
    /// The store told the parked records asked for; those that are gone are missing.
    ParkedRead {
        asked: Vec<DeliveryId>,
        rows: Vec<ParkedRow>,
    },
    /// A person asked for these undelivered records to be sent again.
    ManualRetries { entries: Vec<ParkedEntry> },
    /// An operator has paused the destination, told in these words; none: nobody has, or not any more.
    Paused { words: Option<Arc<str>> },
    /// These topics must not be read, for they are compacted: Kafka could keep the older of two versions. All others may.
    Refused { topics: Vec<Arc<str>> },
    /// An operator has last said at that time that the destination shall go on.
    Resumed { at: Timestamp },
    /// The store counted this destination's undelivered records.
    Counted { undelivered: u64 },
    /// So many partitions do the destination's topics have.
    PartitionsCounted { topics: Vec<(Arc<str>, i32)> },
    /// The store has noted how many partitions a topic has, and knows when that changed last, and how many there were before.
    PartitionsNoted {
        topic: Arc<str>,
        change: Option<CountChange>,
    },
    /// Parked records have come to partitions of this replica, with what the ledger holds of their keys.
    Moved {
        entries: Vec<ParkedEntry>,
        held: Vec<(KeyHash, Held)>,
    },
    /// A request ended.
    Answer {
        request: RequestId,
        http: HttpRequest,
        exchange: Exchange,
    },
    /// A batch is durable.
    Flushed { batch: u64 },
    /// The store could not write a batch.
    FlushRefused { batch: u64 },
    /// The group wants partitions back: they are drained, then released.
    Revoked { partitions: Vec<Partition> },
    /// Partitions are gone already; another replica may own them.
    Lost { partitions: Vec<Partition> },
    /// This replica was silent for too long: the group has given its partitions away.
    PollDeadlinePassed,
    /// A request was not made after all, because this replica had been silent for too long by then.
    Unsent { request: RequestId },
    /// Drain everything, then stop.
    Stop,
    /// A burst of events is over, or [`super::Engine::next_timer`] is due.
    Tick,
}

/// What is to be done.
#[derive(Debug)]
pub enum Action {
    /// Read what the store knows of a partition.
    LoadPartition {
        partition: Partition,
        stream: Arc<Stream>,
    },
    /// Ask where a partition begins, and what is committed of it.
    FindBounds { partition: Partition },
    /// Read what the ledger holds of keys.
    ReadLedger {
        partition: Partition,
        stream: Arc<Stream>,
        keys: Vec<KeyHash>,
    },
    /// Read parked records with their bytes.
    ReadParked { ids: Vec<DeliveryId> },
    /// Send a request.
    Send {
        request: RequestId,
        http: HttpRequest,
    },
    /// Make a batch durable, in one transaction.
    Flush { batch: u64, rows: Arc<Batch> },
    /// Commit an offset (the next to read).
    Commit { partition: Partition, offset: i64 },
    /// Stop fetching a partition.
    Pause { partition: Partition },
    /// Fetch it again.
    Resume { partition: Partition },
    /// Give a revoked partition up: it is drained, and what can be committed has been.
    Release { partition: Partition },
    /// Everything is drained.
    Stopped,
}
