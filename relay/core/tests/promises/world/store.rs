//! The store, as tables in memory: each batch is applied whole, or refused whole.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use relay_core::engine::Event;
use relay_core::exchange::ErrorClass;
use relay_core::names::{Coordinates, DeliveryId, KeyHash, Partition};
use relay_core::rows::{
    Batch, Held, Move, Outcome, ParkedChange, ParkedEntry, ParkedReason, ParkedRow, ParkedState,
    PartitionState,
};
use relay_core::time::Timestamp;

use super::dice::Dice;

/// What becomes of the next batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Refused,
    /// It is written, and the answer is lost: the relay hears that it was refused.
    WrittenUnheard,
}

#[derive(Default)]
pub struct Store {
    /// What has a final row in the log.
    ended: BTreeSet<Coordinates>,
    ended_ids: BTreeSet<DeliveryId>,
    ledger: BTreeMap<KeyHash, (String, Held)>,
    /// Versions and offsets.
    watermarks: BTreeMap<Partition, (u64, Option<i64>)>,
    parked: BTreeMap<DeliveryId, ParkedRow>,
    /// Undelivered records that their new owner has not found yet.
    moved: BTreeSet<DeliveryId>,
    /// Keys that have another partition than before.
    pub moved_keys: BTreeSet<KeyHash>,
    pub is_down: bool,
    pub next_batch: Option<Fate>,
}

impl Store {
    /// Writes a batch in one transaction. `keeping` sees each undelivered row before it is written, with the one it replaces.
    pub fn write(
        &mut self,
        batch: &Batch,
        mut keeping: impl FnMut(Option<&ParkedRow>, &ParkedRow),
    ) {
        for row in &batch.attempts {
            if is_final(row.outcome) {
                self.ended.insert(row.coordinates.clone());
                self.ended_ids.insert(row.subject.id);
            }
        }
        for entry in &batch.ledger {
            let row = (entry.key.to_string(), Held::from(entry));
            let (_, held) = self.ledger.entry(entry.key_hash).or_insert(row);
            match held.version.cmp(&entry.version) {
                Ordering::Less => *held = entry.into(),
                Ordering::Equal => held.is_suspect |= entry.is_suspect,
                Ordering::Greater => held.is_suspect = true,
            }
        }
        for watermark in &batch.watermarks {
            let partition = Partition {
                topic: watermark.stream.topic("replicates_to.").into(),
                number: watermark.partition,
            };
            let held = self.watermarks.entry(partition).or_default();
            held.0 = watermark.version_max.max(held.0);
            held.1 = watermark.offset_max.max(held.1);
        }
        for change in &batch.parked {
            match change {
                ParkedChange::Keep(row) => {
                    keeping(self.parked.get(&row.subject.id), row);
                    let before = self.parked.insert(row.subject.id, (**row).clone());
                    let is_copy = |before: &ParkedRow| before.coordinates != row.coordinates;
                    self.join_copies(before.as_ref().filter(|before| is_copy(before)));
                    self.assert_explained(before);
                }
                ParkedChange::Remove(id) => {
                    let before = self.parked.remove(id);
                    let has_ended =
                        |before: &ParkedRow| self.ended_ids.contains(&before.subject.id);
                    self.join_copies(before.clone().filter(has_ended).as_ref());
                    self.assert_explained(before);
                }
                ParkedChange::Move(id, Move { from, to }) => {
                    let row = self.parked.get_mut(id);
                    if let Some(row) = row.filter(|row| row.home.number == *from) {
                        row.home = *to;
                        self.moved.insert(*id);
                    }
                }
            }
        }
    }

    /// One version of a key that has another partition than before may be read in both, by two replicas, and stand once: what
    /// becomes of the one becomes of the other.
    fn join_copies(&mut self, before: Option<&ParkedRow>) {
        if let Some(before) = before
            && self.moved_keys.contains(&before.subject.id.key_hash)
        {
            self.ended.insert(before.coordinates.clone());
        }
    }

    fn assert_explained(&self, before: Option<ParkedRow>) {
        let Some(before) = before else { return };
        assert!(
            self.explains(&before.coordinates),
            "LOST: the undelivered record {} of {:?} is gone from the store without an end in the log",
            before.subject.id,
            before.coordinates
        );
    }

    /// Whether a record has ended in the log, or is undelivered and visible.
    pub fn explains(&self, at: &Coordinates) -> bool {
        self.ended.contains(at) || self.parked.values().any(|row| row.coordinates == *at)
    }

    /// Whether a failure says that a record had expired.
    pub fn says_lost(&self, at: &Coordinates) -> bool {
        let says = |row: &ParkedRow| {
            let numbers: Vec<i64> = row
                .error
                .split(' ')
                .take(4)
                .filter_map(|word| word.parse().ok())
                .collect();
            let is_of =
                row.coordinates.topic == at.topic && row.coordinates.partition == at.partition;
            is_of && is_gap(row) && (numbers[0]..=numbers[1]).contains(&at.offset)
        };
        self.parked.values().any(says)
    }

    pub fn load(&self, partition: &Partition) -> PartitionState {
        let rows = self
            .parked
            .values()
            .filter(|row| row.partition() == *partition);
        let marks = self
            .watermarks
            .iter()
            .filter(|(of, _)| of.topic == partition.topic);
        PartitionState {
            parked: rows.map(entry).collect(),
            watermark: marks.map(|(_, (version, _))| *version).max().unwrap_or(0),
            offset_max: self.watermarks.get(partition).and_then(|mark| mark.1),
        }
    }

    pub fn read_ledger(&self, partition: Partition, asked: Vec<KeyHash>) -> Event {
        let held = |key: &KeyHash| Some((*key, self.ledger.get(key)?.1));
        Event::LedgerRead {
            partition,
            found: asked.iter().filter_map(held).collect(),
            asked,
        }
    }

    pub fn read_parked(&self, asked: Vec<DeliveryId>) -> Event {
        let row = |id: &DeliveryId| self.parked.get(id).cloned();
        Event::ParkedRead {
            rows: asked.iter().filter_map(row).collect(),
            asked,
        }
    }

    /// What people asked for, of these partitions.
    pub fn find_manual_retries(&self, partitions: &[Partition]) -> Vec<ParkedEntry> {
        let is_asked_for = |row: &&ParkedRow| {
            let reason = match row.state {
                ParkedState::Parked { reason, .. } => Some(reason),
                ParkedState::Exhausted | ParkedState::Rejected | ParkedState::Quarantined => None,
            };
            reason == Some(ParkedReason::Manual) && partitions.contains(&row.partition())
        };
        self.parked
            .values()
            .filter(is_asked_for)
            .map(entry)
            .collect()
    }

    /// What was handed to these partitions, with what the ledger holds of it.
    pub fn take_moved(&mut self, partitions: &[Partition]) -> Option<Event> {
        let has_come = |id: &DeliveryId| {
            let row = self.parked.get(id);
            row.is_none_or(|row| partitions.contains(&row.partition()))
        };
        let ids: Vec<_> = self.moved.iter().copied().filter(has_come).collect();
        for id in &ids {
            self.moved.remove(id);
        }
        let rows = ids.iter().filter_map(|id| self.parked.get(id));
        let entries: Vec<_> = rows.map(entry).collect();
        let held = |entry: &ParkedEntry| {
            let key = entry.subject.id.key_hash;
            Some((key, self.ledger.get(&key)?.1))
        };
        let held = entries.iter().filter_map(held).collect();
        (!entries.is_empty()).then_some(Event::Moved { entries, held })
    }

    /// A person asks for one of the undelivered records to be sent again.
    pub fn retry_any(&mut self, dice: &mut Dice, wall: Timestamp) -> Option<DeliveryId> {
        let ids: Vec<_> = self.parked.keys().copied().collect();
        let id = (!ids.is_empty()).then(|| dice.pick(&ids))?;
        self.retry(id, wall);
        Some(id)
    }

    pub fn retry_all(&mut self, wall: Timestamp) -> Vec<DeliveryId> {
        let ids: Vec<_> = self.parked.keys().copied().collect();
        for id in &ids {
            self.retry(*id, wall);
        }
        ids
    }

    fn retry(&mut self, id: DeliveryId, wall: Timestamp) {
        if let Some(row) = self.parked.get_mut(&id) {
            row.charged = 0;
            row.state = ParkedState::Parked {
                reason: ParkedReason::Manual,
                next_attempt_at: wall,
            };
        }
    }

    pub fn recover(&mut self) {
        self.is_down = false;
        self.next_batch = None;
    }

    pub fn held(&self, key: &str) -> Option<Held> {
        let held = self.ledger.values().find(|(held, _)| held == key);
        held.map(|(_, held)| *held)
    }

    pub fn ledger_version(&self, key: &str) -> u64 {
        self.held(key).map_or(0, |held| held.version)
    }

    pub fn row(&self, id: DeliveryId) -> Option<&ParkedRow> {
        self.parked.get(&id)
    }

    pub fn undelivered(&self) -> impl Iterator<Item = &ParkedRow> {
        self.parked.values()
    }
}

/// Whether it stands for records that had expired.
pub fn is_gap(row: &ParkedRow) -> bool {
    row.error_class == Some(ErrorClass::OffsetGap)
}

/// Whether a record needs nothing more.
pub fn is_final(outcome: Outcome) -> bool {
    match outcome {
        Outcome::Delivered | Outcome::Stale | Outcome::Superseded | Outcome::Discarded => true,
        Outcome::Retryable | Outcome::Rejected | Outcome::Quarantined => false,
    }
}

fn entry(row: &ParkedRow) -> ParkedEntry {
    ParkedEntry {
        subject: row.subject.clone(),
        state: row.state,
        attempts: row.attempts,
        charged: row.charged,
        committed_at: row.committed_at,
        first_failed_at: row.first_failed_at,
        coordinates: row.coordinates.clone(),
        home: row.home,
    }
}
