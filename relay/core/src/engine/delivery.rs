//! A delivery in the relay's memory: a record, where it came from, and how its attempts went.

use std::sync::Arc;

use crate::exchange::ErrorClass;
use crate::names::{DeliveryId, Operation, Stream};
use crate::record::Record;
use crate::rows::{Cause, RecordName, Subject};
use crate::time::Timestamp;

/// A record on its way to the destination.
#[derive(Debug)]
pub struct Delivery {
    pub id: DeliveryId,
    pub stream: Arc<Stream>,
    pub record: Record,
    pub place: Place,
    pub owner: Owner,
    pub tally: Tally,
    /// With `skip_unchanged`: where the oldest record stands whose place this one took and that the consumer may hold.
    /// Kafka keeps that one as long as this one has not ended.
    pub instead_of: Option<Place>,
    /// Records of a request of it, at most: fewer after a batch was refused as a whole.
    pub company_max: usize,
    /// A person asked for this attempt.
    pub is_manual: bool,
    /// It was read from another partition than that of its key: its other versions may be elsewhere.
    pub is_misplaced: bool,
    pub first_failed_at: Option<Timestamp>,
    pub last_failure: Option<Failure>,
}

impl Delivery {
    pub fn subject(&self) -> Subject {
        Subject {
            destination: self.stream.destination.clone(),
            id: self.id,
            record: Some(RecordName {
                stream: self.stream.clone(),
                key: self.record.key.clone(),
                operation: self.record.operation,
            }),
        }
    }

    /// Why the next attempt is made.
    pub fn cause(&self) -> Cause {
        match self.record.operation {
            _ if self.is_manual => Cause::Manual,
            _ if self.tally.attempts > 0 => Cause::Retry,
            Operation::Snapshot => Cause::Snapshot,
            Operation::Create | Operation::Update | Operation::Delete => Cause::Live,
        }
    }

    /// Tries failed in memory that the store does not know of.
    pub fn has_failed_tries(&self) -> bool {
        self.tally.tries > 0
    }
}

/// Where in Kafka it was read: a partition of the engine's table, and the offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The partition that it belongs to.
    pub home: usize,
    /// The assignment of that partition during which it was read.
    pub epoch: u32,
    /// Where it was read: another partition when it was parked before the topic got more of them.
    pub partition: i32,
    pub offset: i64,
}

/// Who brings the record back after a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// Its offset is not committed.
    Kafka,
    /// Its row stands in `parked`.
    Store,
}

/// The attempts of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// All attempts.
    pub attempts: u32,
    /// Those that spent budget.
    pub charged: u32,
    /// Suspect tries of this series: charged when it is parked while the breaker is closed.
    pub suspected: u32,
    /// Failed tries since it came into memory.
    pub tries: u32,
}

/// How its last attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub at: Timestamp,
    pub status: Option<u16>,
    pub class: ErrorClass,
    pub error: String,
}
