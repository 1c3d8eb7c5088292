//! What this replica remembers of the undelivered records of its partitions: all but their bytes.

use std::collections::{BTreeSet, HashMap};
use std::hash::BuildHasherDefault;
use std::time::Duration;

use super::lane::KeyHashHasher;
use crate::names::{DeliveryId, KeyHash};
use crate::rows::ParkedEntry;

/// Undelivered records by key, and by when they are due.
#[derive(Debug, Default)]
pub struct Parked {
    by_key: HashMap<KeyHash, Vec<Row>, BuildHasherDefault<KeyHashHasher>>,
    /// Per route: parked ones that are not being loaded.
    due: HashMap<usize, BTreeSet<(Duration, DeliveryId)>>,
    count: usize,
    in_memory: usize,
}

/// One undelivered record.
#[derive(Debug, Clone)]
pub struct Row {
    pub entry: ParkedEntry,
    pub home: usize,
    pub route: usize,
    pub wait: Wait,
}

/// Where an undelivered record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// For its row to be durable, then for its due time: the store cannot give back what it does not have yet.
    Unwritten(Duration),
    /// For its due time.
    Due(Duration),
    /// It is being read from the store, or is in its lane.
    InMemory,
    /// For a person, or a newer version.
    ForAPerson,
}

impl Parked {
    /// Adds a row, or replaces the one of the same delivery.
    pub fn keep(&mut self, row: Row) {
        let id = row.entry.subject.id;
        self.remove(id);
        match row.wait {
            Wait::Due(at) => {
                self.due.entry(row.route).or_default().insert((at, id));
            }
            Wait::InMemory => self.in_memory += 1,
            Wait::Unwritten(_) | Wait::ForAPerson => {}
        }
        self.by_key.entry(id.key_hash).or_default().push(row);
        self.count += 1;
    }

    /// Forgets a delivery.
    pub fn remove(&mut self, id: DeliveryId) -> Option<Row> {
        let rows = self.by_key.get_mut(&id.key_hash)?;
        let position = rows.iter().position(|row| row.entry.subject.id == id)?;
        let row = rows.swap_remove(position);
        if rows.is_empty() {
            self.by_key.remove(&id.key_hash);
        }
        self.count -= 1;
        self.leave(&row);
        Some(row)
    }

    /// Forgets everything of a partition.
    pub fn remove_home(&mut self, home: usize) {
        let ids: Vec<_> = self
            .rows()
            .filter(|row| row.home == home)
            .map(|row| row.entry.subject.id)
            .collect();
        for id in ids {
            self.remove(id);
        }
    }

    pub fn get(&self, id: DeliveryId) -> Option<&Row> {
        self.of_key(id.key_hash)
            .iter()
            .find(|row| row.entry.subject.id == id)
    }

    /// All undelivered records of a key.
    pub fn of_key(&self, key: KeyHash) -> &[Row] {
        self.by_key.get(&key).map_or(&[], Vec::as_slice)
    }

    /// Takes up to `limit` deliveries of a route that are due, to be loaded.
    pub fn take_due(&mut self, route: usize, now: Duration, limit: usize) -> Vec<DeliveryId> {
        let Some(due) = self.due.get(&route) else {
            return vec![];
        };
        let ids: Vec<_> = due
            .iter()
            .take_while(|(at, _)| *at <= now)
            .take(limit)
            .map(|(_, id)| *id)
            .collect();
        for id in &ids {
            self.set_wait(*id, Wait::InMemory);
        }
        ids
    }

    /// Takes one delivery of a route for a probe: due, and of another key than the last while there is one.
    pub fn take_for_probe(
        &mut self,
        route: usize,
        now: Duration,
        last: Option<KeyHash>,
    ) -> Option<DeliveryId> {
        let due = self.due.get(&route)?;
        let mut candidates = due
            .iter()
            .take_while(|(at, _)| *at <= now)
            .map(|(_, id)| *id);
        let first = candidates.next()?;
        let other = std::iter::once(first)
            .chain(candidates)
            .find(|id| Some(id.key_hash) != last);
        let id = other.unwrap_or(first);
        self.set_wait(id, Wait::InMemory);
        Some(id)
    }

    /// The row of a delivery is durable.
    pub fn written(&mut self, id: DeliveryId) {
        if let Some(Wait::Unwritten(due)) = self.get(id).map(|row| row.wait) {
            self.set_wait(id, Wait::Due(due));
        }
    }

    /// A delivery that is on its way begins a new budget.
    pub fn renew(&mut self, entry: ParkedEntry) {
        let id = entry.subject.id;
        let of_key = self.by_key.get_mut(&id.key_hash);
        let row = of_key.and_then(|rows| rows.iter_mut().find(|row| row.entry.subject.id == id));
        if let Some(row) = row {
            row.entry = entry;
        }
    }

    /// How much of its budget a delivery has spent, when a person gave it a new one after it was read.
    pub fn charged(&self, id: DeliveryId) -> Option<u32> {
        Some(self.get(id)?.entry.charged)
    }

    /// Puts a delivery that was taken back: it was not sent after all.
    pub fn put_back(&mut self, id: DeliveryId, due: Duration) {
        if self.get(id).is_some_and(|row| row.wait == Wait::InMemory) {
            self.set_wait(id, Wait::Due(due));
        }
    }

    /// When the first record of a route is due.
    pub fn next_due(&self, route: usize) -> Option<Duration> {
        self.due.get(&route)?.first().map(|(at, _)| *at)
    }

    pub fn len(&self) -> usize {
        self.count
    }

    /// How many are being read from the store, or are in their lanes.
    pub fn in_memory(&self) -> usize {
        self.in_memory
    }

    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.by_key.values().flatten()
    }

    fn set_wait(&mut self, id: DeliveryId, wait: Wait) {
        if let Some(mut row) = self.remove(id) {
            row.wait = wait;
            self.keep(row);
        }
    }

    fn leave(&mut self, row: &Row) {
        match row.wait {
            Wait::Due(at) => {
                if let Some(due) = self.due.get_mut(&row.route) {
                    due.remove(&(at, row.entry.subject.id));
                }
            }
            Wait::InMemory => self.in_memory -= 1,
            Wait::Unwritten(_) | Wait::ForAPerson => {}
        }
    }
}
