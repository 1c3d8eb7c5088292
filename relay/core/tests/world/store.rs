//! The store, as tables in memory: each batch is applied whole, or refused whole.

use std::collections::{BTreeMap, BTreeSet};

use relay_core::engine::{Action, Event};
use relay_core::names::{DeliveryId, KeyHash, Partition};
use relay_core::rows::{
    Batch, Outcome, ParkedChange, ParkedEntry, ParkedReason, ParkedRow, ParkedState, PartitionState,
};
use relay_core::time::{Now, Timestamp};

#[derive(Default)]
pub struct Store {
    /// Offsets with a final row in the log.
    ended: BTreeSet<(i32, i64)>,
    stale: BTreeSet<(String, u64)>,
    ledger: BTreeMap<KeyHash, (String, u64)>,
    watermarks: BTreeMap<i32, u64>,
    parked: BTreeMap<DeliveryId, ParkedRow>,
    refuses_next: bool,
}

impl Store {
    pub fn serve(&mut self, action: Action, now: Now) -> Event {
        match action {
            Action::Flush { batch, rows } => {
                if std::mem::take(&mut self.refuses_next) {
                    return Event::FlushRefused { batch };
                }
                self.apply(&rows);
                Event::Flushed { batch }
            }
            Action::LoadPartition { partition, .. } => Event::Loaded {
                state: self.partition_state(&partition),
                partition,
            },
            Action::ReadLedger {
                partition, keys, ..
            } => Event::LedgerRead {
                partition,
                found: keys
                    .iter()
                    .filter_map(|key| Some((*key, self.ledger.get(key)?.1)))
                    .collect(),
                asked: keys,
            },
            Action::ReadParked { ids } => Event::ParkedRead {
                rows: ids
                    .iter()
                    .filter_map(|id| self.parked.get(id).cloned())
                    .collect(),
                asked: ids,
            },
            other => panic!("the store cannot serve {other:?} at {now:?}"),
        }
    }

    fn apply(&mut self, batch: &Batch) {
        for row in &batch.attempts {
            let coordinates = &row.coordinates;
            let is_final = matches!(
                row.outcome,
                Outcome::Delivered | Outcome::Stale | Outcome::Superseded
            );
            if is_final {
                self.ended
                    .insert((coordinates.partition, coordinates.offset));
            }
            if row.outcome == Outcome::Stale {
                let key = row.subject.record.as_ref().unwrap().key.to_string();
                self.stale.insert((key, row.subject.id.version));
            }
        }
        for entry in &batch.ledger {
            let held = self
                .ledger
                .entry(entry.key_hash)
                .or_insert((entry.key.to_string(), 0));
            held.1 = held.1.max(entry.version);
        }
        for watermark in &batch.watermarks {
            let held = self.watermarks.entry(watermark.partition).or_default();
            *held = watermark.version_max.max(*held);
        }
        for change in &batch.parked {
            match change {
                ParkedChange::Keep(row) => {
                    self.parked.insert(row.subject.id, (**row).clone());
                }
                ParkedChange::Remove(id) => {
                    self.parked.remove(id);
                }
            }
        }
    }

    fn partition_state(&self, partition: &Partition) -> PartitionState {
        let rows = self
            .parked
            .values()
            .filter(|row| row.partition() == *partition);
        PartitionState {
            parked: rows.map(entry).collect(),
            watermark: self.watermarks.values().copied().max().unwrap_or(0),
        }
    }

    pub fn refuse_next_batch(&mut self) {
        self.refuses_next = true;
    }

    pub fn recover(&mut self) {
        self.refuses_next = false;
    }

    pub fn ask_to_retry(&mut self, detail: usize, wall: Timestamp) -> Option<ParkedEntry> {
        let count = self.parked.len();
        let row = self.parked.values_mut().nth(detail.checked_rem(count)?)?;
        row.state = ParkedState::Parked {
            reason: ParkedReason::Manual,
            next_attempt_at: wall,
        };
        row.charged = 0;
        Some(entry(row))
    }

    pub fn ledger_version(&self, key: &str) -> u64 {
        self.ledger
            .values()
            .find(|(held, _)| held == key)
            .map_or(0, |(_, version)| *version)
    }

    pub fn says_stale(&self, key: &str, version: u64) -> bool {
        self.stale.contains(&(key.to_owned(), version))
    }

    pub fn explains(&self, partition: &Partition, offset: i64) -> bool {
        let is_parked = |row: &ParkedRow| {
            row.coordinates.partition == partition.number && row.coordinates.offset == offset
        };
        self.ended.contains(&(partition.number, offset)) || self.parked.values().any(is_parked)
    }

    pub fn assert_budgets(&self, max_retries: u32) {
        for row in self.parked.values() {
            assert!(
                row.charged <= 1 + max_retries,
                "{} was charged {}",
                row.subject.id,
                row.charged
            );
            assert!(
                row.charged <= row.attempts || row.attempts == 0,
                "{} charged more than tried",
                row.subject.id
            );
        }
    }

    pub fn charged(&self) -> impl Iterator<Item = u32> {
        self.parked.values().map(|row| row.charged)
    }

    pub fn undelivered(&self) -> usize {
        self.parked.len()
    }

    pub fn states(&self) -> Vec<(DeliveryId, ParkedState)> {
        self.parked
            .values()
            .map(|row| (row.subject.id, row.state))
            .collect()
    }

    pub fn is_exhausted(&self, key: &str, version: u64) -> bool {
        let is_it = |row: &ParkedRow| {
            row.subject.id.version == version
                && row
                    .subject
                    .record
                    .as_ref()
                    .is_some_and(|name| &*name.key == key)
        };
        self.parked
            .values()
            .any(|row| is_it(row) && row.state == ParkedState::Exhausted)
    }
}

fn entry(row: &ParkedRow) -> ParkedEntry {
    ParkedEntry {
        subject: row.subject.clone(),
        state: row.state,
        attempts: row.attempts,
        charged: row.charged,
        first_failed_at: row.first_failed_at,
        coordinates: row.coordinates.clone(),
    }
}
