//! The world's own count of attempts, against which the relay's is held.
//!
//! A failed attempt is pending until the store holds it. Where the relay's count may rightly differ (a person gave a new
//! budget, a version was published twice, a replica that was given up wrote late) it is only held to the maximum.

use std::collections::{BTreeMap, BTreeSet};

use relay_core::engine::view::BreakerView;
use relay_core::names::{DeliveryId, KeyHash, Partition};
use relay_core::rows::{ParkedRow, ParkedState};

use super::endpoint::Meaning;

#[derive(Default)]
pub struct Accounts {
    max_retries: u32,
    /// Failed attempts that are not durable, by replica.
    pending: BTreeMap<(usize, DeliveryId), Pending>,
    /// Deliveries and partitions whose exact count is not known here.
    unclear: BTreeSet<DeliveryId>,
    unclear_partitions: BTreeSet<Partition>,
    unclear_keys: BTreeSet<KeyHash>,
}

#[derive(Debug, Clone)]
struct Pending {
    partition: Partition,
    attempts: u32,
    /// Charged at least, and at most: the breaker that opens forgives what was unclear.
    charged_min: u32,
    unclear_tries: u32,
    charged_max: u32,
}

impl Accounts {
    pub fn new(max_retries: u32) -> Self {
        Self {
            max_retries,
            ..Self::default()
        }
    }

    pub fn lose_count_of(&mut self, id: DeliveryId) {
        self.unclear.insert(id);
    }

    pub fn lose_count_of_partition(&mut self, partition: &Partition) {
        self.unclear_partitions.insert(partition.clone());
    }

    pub fn lose_count_of_key(&mut self, key: KeyHash) {
        self.unclear_keys.insert(key);
    }

    /// Whether nothing happened to a delivery that this count cannot follow.
    pub fn knows(&self, id: DeliveryId, partition: &Partition) -> bool {
        !self.unclear_partitions.contains(partition)
            && !self.unclear.contains(&id)
            && !self.unclear_keys.contains(&id.key_hash)
    }

    /// A request was answered, or ended without. `breaker`: how the replica's breaker stood afterwards.
    pub fn ended(
        &mut self,
        who: usize,
        id: DeliveryId,
        partition: &Partition,
        meaning: Meaning,
        breaker: Option<&BreakerView>,
    ) {
        if matches!(meaning, Meaning::Delivered | Meaning::Stale(_)) {
            self.pending.remove(&(who, id));
            return;
        }
        let pending = self.pending.entry((who, id)).or_insert_with(|| Pending {
            partition: partition.clone(),
            attempts: 0,
            charged_min: 0,
            unclear_tries: 0,
            charged_max: 0,
        });
        pending.attempts += 1;
        let is_held = breaker.is_some_and(|breaker| partition.topic.ends_with(&breaker.model));
        match meaning {
            Meaning::Record => {
                pending.charged_min += 1;
                pending.charged_max += 1;
            }
            Meaning::Unclear if !is_held => {
                pending.unclear_tries += 1;
                pending.charged_max += 1;
            }
            Meaning::Unclear
            | Meaning::Shared
            | Meaning::Endpoint
            | Meaning::Unreachable
            | Meaning::Refused
            | Meaning::Delivered
            | Meaning::Stale(_) => {}
        }
    }

    /// A breaker that is not closed forgives what is unclear. Which one it is of two is not always to be seen.
    pub fn see_breaker(&mut self, who: usize, breaker: Option<&BreakerView>) {
        if breaker.is_some() {
            let mine = self.pending.iter_mut().filter(|((of, _), _)| *of == who);
            mine.for_each(|(_, pending)| pending.unclear_tries = 0);
        }
    }

    /// An undelivered record becomes durable.
    pub fn kept(&mut self, who: usize, before: Option<&ParkedRow>, row: &ParkedRow) {
        let id = row.subject.id;
        assert!(
            row.charged <= 1 + self.max_retries,
            "BUDGET: {id} was charged {}, more than 1 + {}",
            row.charged,
            self.max_retries
        );
        assert!(
            row.charged <= row.attempts || row.attempts == 0,
            "BUDGET: {id} was charged more than tried"
        );
        assert!(
            row.state != ParkedState::Exhausted || row.charged == 1 + self.max_retries,
            "BUDGET: {id} is exhausted after {} charged attempts",
            row.charged
        );
        let pending = self.pending.remove(&(who, id));
        if row.state == ParkedState::Quarantined || !self.knows(id, &row.partition()) {
            return;
        }
        let (attempts, charged) = before.map_or((0, 0), |row| (row.attempts, row.charged));
        let (tried, min, max) = pending.map_or((0, 0, 0), |pending| {
            // What was unclear need not be settled where the consumer refused the record.
            let is_refused = row.state == ParkedState::Rejected;
            let unclear = if is_refused { 0 } else { pending.unclear_tries };
            let min = pending.charged_min + unclear;
            (pending.attempts, min, pending.charged_max)
        });
        assert_eq!(
            row.attempts,
            attempts + tried,
            "BUDGET: {id} is kept with a wrong number of attempts"
        );
        assert!(
            (charged + min..=charged + max).contains(&row.charged),
            "BUDGET: {id} was charged {} where {} to {} is right ({charged} before)",
            row.charged,
            charged + min,
            charged + max
        );
    }

    /// A record needs nothing more.
    pub fn forget(&mut self, who: usize, id: DeliveryId) {
        self.pending.remove(&(who, id));
    }

    /// A replica is dead: what it had not made durable is gone.
    pub fn forget_replica(&mut self, who: usize) {
        self.pending.retain(|(of, _), _| *of != who);
    }

    /// A request leaves.
    pub fn assert_may_send(
        &self,
        who: usize,
        id: DeliveryId,
        partition: &Partition,
        row: Option<&ParkedRow>,
    ) {
        if !self.knows(id, partition) {
            return;
        }
        let pending = self
            .pending
            .get(&(who, id))
            .map_or(0, |pending| pending.charged_min);
        let charged = row.map_or(0, |row| row.charged) + pending;
        assert!(
            charged <= self.max_retries,
            "BUDGET: {id} is sent after {charged} charged attempts"
        );
    }

    /// A partition is given up: all that failed must be in the store.
    pub fn assert_drained(&self, who: usize, partition: &Partition) {
        let left = self.pending.iter().find(|((of, id), pending)| {
            *of == who && pending.partition == *partition && self.knows(*id, partition)
        });
        assert!(
            left.is_none(),
            "BUDGET: the partition is released, but {left:?} is not in the store"
        );
    }
}
