//! What the owner of a partition loads of its undelivered records.

use relay_core::names::Partition;
use relay_core::rows::{CountChange, ParkedEntry};

use super::StoreError;
use super::words::Table;

/// What the store holds of one partition.
#[derive(Debug, Clone, Default)]
pub struct StoredPartition {
    /// Undelivered records read from this partition, of any state, in the order in which they were first parked.
    pub parked: Vec<ParkedEntry>,
    /// Partition number and highest acknowledged version, for every partition of the stream. After a change of the
    /// partition count a key may have moved, so the highest of all counts.
    pub watermarks: Vec<(i32, u64)>,
    /// The highest offset that was acknowledged of this partition.
    pub offset_max: Option<i64>,
}

impl StoredPartition {
    /// With the watermarks and offsets of all partitions of its stream.
    pub(super) fn new(
        partition: &Partition,
        parked: Vec<ParkedEntry>,
        marks: Vec<(i32, u64, Option<i64>)>,
    ) -> Self {
        let own = marks.iter().find(|mark| mark.0 == partition.number);
        Self {
            parked,
            offset_max: own.and_then(|mark| mark.2),
            watermarks: marks.into_iter().map(|mark| (mark.0, mark.1)).collect(),
        }
    }
}

/// What a replica owns of a destination.
#[derive(Debug, Clone, Copy)]
pub struct Owned<'a> {
    pub partitions: &'a [Partition],
    /// Of each topic whose first partition is among them and that had more of them, the first that it does not have any more.
    pub ends: &'a [Partition],
}

/// What the store knows of a topic's partition count, once it has noted one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotedCount {
    /// The count that was noted before, if it was another: only the first replica to see a change is told.
    pub replaced: Option<i32>,
    /// The last change.
    pub change: Option<CountChange>,
}

/// Undelivered records of a destination.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub parked: u64,
    pub exhausted: u64,
    pub rejected: u64,
    pub quarantined: u64,
}

impl Counts {
    /// All of them: what `parked_max` bounds.
    pub fn total(self) -> u64 {
        self.parked
            .saturating_add(self.exhausted)
            .saturating_add(self.rejected)
            .saturating_add(self.quarantined)
    }
}

impl Counts {
    /// The count of a state, by its word.
    pub(super) fn of_mut(&mut self, table: Table, state: &str) -> Result<&mut u64, StoreError> {
        match state {
            "parked" => Ok(&mut self.parked),
            "exhausted" => Ok(&mut self.exhausted),
            "rejected" => Ok(&mut self.rejected),
            "quarantined" => Ok(&mut self.quarantined),
            _ => Err(table.unreadable("state", state)),
        }
    }
}
