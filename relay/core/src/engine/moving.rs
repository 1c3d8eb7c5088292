//! A topic gets more partitions: keys move to others, and what is undelivered of them moves along.
//!
//! An undelivered record stays where it was read until its owner sees that the count has changed. Before anything of it is
//! sent again, the owner hands it to the partition of its key, in the store, and forgets it; the owner of that one finds it
//! there. So nobody ever holds a record that another replica holds, and a move that is written twice moves nothing twice.
//!
//! Records of one key may have been published to two partitions by then, for producers learn of a change each at their own
//! time: for a while nothing of the topic is sent before the ledger was asked, and a record outside of the partition of its
//! key never is.

use std::sync::Arc;
use std::time::Duration;

use super::delivery::{Delivery, Owner, Place};
use super::parked::{Row, Wait};
use super::table::{Home, Phase};
use super::{Engine, Step};
use crate::names::{Coordinates, DeliveryId, KeyHash, Partition};
use crate::partitioner::partition_of;
use crate::rows::{CountChange, Held, HomePartition, Move, ParkedEntry};
use crate::time::Now;

/// Producers ask for a topic's partitions again after five minutes (`topic.metadata.refresh.interval.ms`); twice that.
const UNSETTLED: Duration = Duration::from_secs(600);

/// What is known of a topic's partitions.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Census {
    count: Option<i32>,
    before: Option<i32>,
    unsettled_until: Option<Duration>,
    /// The store was told of it, and has said what it knew.
    is_noted: bool,
}

impl Census {
    /// Notes a count. True when it is another than was known.
    fn take_in(&mut self, count: i32, now: Now) -> bool {
        let known = self.count.replace(count);
        if let Some(before) = known.filter(|known| *known != count) {
            let age = Duration::ZERO;
            self.note(CountChange { before, age }, now);
        }
        known != Some(count)
    }

    fn note(&mut self, change: CountChange, now: Now) {
        self.before = Some(change.before);
        let left = UNSETTLED.saturating_sub(change.age);
        let until = now.monotonic.saturating_add(left);
        self.unsettled_until = self.unsettled_until.max(Some(until));
    }

    /// Whether versions of one key may still be on their way in two partitions.
    fn is_unsettled(&self, now: Duration) -> bool {
        self.unsettled_until.is_some_and(|until| now < until)
    }

    /// The count, for a while after there were more.
    fn count_since_fewer(&self, now: Duration) -> Option<i32> {
        let count = self.count?;
        let were_more = self.before.is_some_and(|before| before > count);
        (were_more && self.is_unsettled(now)).then_some(count)
    }
}

/// Records that were read from another partition than that of their key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Misplaced {
    /// So many since the engine began.
    pub records: u64,
    /// The last of them, and the partition of its key.
    pub last: Option<(Coordinates, i32)>,
}

impl Home {
    /// Whether it is known what happened before this assignment: a change of the count, records that expired.
    pub fn knows_its_past(&self) -> bool {
        self.census.is_noted && self.gaps.has_begun()
    }

    /// The partition of a key, where that is another.
    fn elsewhere(&self, key: &str) -> Option<i32> {
        let right = partition_of(key.as_bytes(), self.census.count?);
        (right != self.partition.number).then_some(right)
    }
}

impl Engine {
    pub(super) fn on_partitions_counted(&mut self, topics: &[(Arc<str>, i32)], step: &Step<'_>) {
        let counted = || topics.iter().filter(|(_, count)| *count > 0);
        let all = counted().map(|(_, count)| count.unsigned_abs() as usize);
        self.rate.count(all.sum());
        for (topic, count) in counted() {
            let census = self.census.entry(topic.clone()).or_default();
            if census.take_in(*count, step.now) {
                self.apply_census(topic, step.now);
            }
        }
    }

    /// The count may have been another before this replica was there.
    pub(super) fn on_partitions_noted(
        &mut self,
        topic: &Arc<str>,
        change: Option<CountChange>,
        now: Now,
    ) {
        let census = self.census.entry(topic.clone()).or_default();
        census.is_noted = true;
        if let Some(change) = change {
            census.note(change, now);
        }
        self.apply_census(topic, now);
    }

    fn apply_census(&mut self, topic: &Arc<str>, now: Now) {
        let census = self.census_of(topic);
        for index in 0..self.homes.len() {
            if self.homes[index].partition.topic == *topic {
                self.homes[index].census = census;
                self.move_rows_of(index, now);
            }
        }
    }

    pub(super) fn census_of(&self, topic: &Arc<str>) -> Census {
        self.census.get(topic).copied().unwrap_or_default()
    }

    /// Hands on what is undelivered and belongs elsewhere. What is being tried, or written, follows when it is written.
    pub(super) fn move_rows_of(&mut self, home: usize, now: Now) {
        let may_move = |row: &&Row| {
            let id = row.entry.subject.id;
            let is_written = match row.wait {
                Wait::Due(_) => true,
                Wait::ForAPerson => !self.journal.holds_row(id),
                Wait::InMemory | Wait::Unwritten(_) => false,
            };
            row.home == home && is_written
        };
        let rows = self.parked.rows().filter(may_move);
        let ids: Vec<_> = rows.map(|row| row.entry.subject.id).collect();
        for id in ids {
            self.move_on(id, now);
        }
    }

    /// Hands an undelivered record to the partition of its key, if that is another since the count has changed.
    pub(super) fn move_on(&mut self, id: DeliveryId, now: Now) -> bool {
        let Some(row) = self.parked.get(id) else {
            return false;
        };
        let index = row.home;
        let Some(to) = self.next_home(row) else {
            return false;
        };
        let from = self.homes[index].partition.number;
        self.parked.remove(id);
        self.journal
            .relocate(index, id, Move { from, to }, now.monotonic);
        true
    }

    fn next_home(&self, row: &Row) -> Option<HomePartition> {
        let home = &self.homes[row.home];
        let has_changed = row.entry.home.of? != home.census.count?;
        let record = row.entry.subject.record.as_ref()?;
        let number = home.elsewhere(&record.key)?;
        let of = home.census.count;
        (has_changed && home.is_owned()).then_some(HomePartition { number, of })
    }

    /// Undelivered records have come to partitions of this replica. What the ledger holds a newer version of ends here.
    pub(super) fn on_moved(
        &mut self,
        entries: Vec<ParkedEntry>,
        held: &[(KeyHash, Held)],
        step: &Step<'_>,
    ) {
        for entry in entries {
            let id = entry.subject.id;
            let Some(&home) = self.home_of.get(&entry.partition()) else {
                continue;
            };
            let is_ours = matches!(self.homes[home].phase, Phase::Owned | Phase::Loading { .. });
            let wait = self.parked.get(id).map(|row| row.wait);
            if !is_ours || matches!(wait, Some(Wait::InMemory | Wait::Unwritten(_))) {
                continue;
            }
            self.remember(home, entry, step.now);
            if !self.homes[home].is_owned() || self.move_on(id, step.now) {
                continue;
            }
            let of_key = held.iter().find(|(key, _)| *key == id.key_hash);
            if let Some((key, held)) = of_key {
                self.supersede_parked_below(*key, held.version, step.now);
            }
        }
    }

    /// Where an undelivered record is kept: with its partition, for as long as that is the one of its key.
    pub(super) fn home_partition_of(&self, delivery: &Delivery, now: Now) -> HomePartition {
        let home = &self.homes[delivery.place.home];
        let known = self.parked.get(delivery.id).map(|row| row.entry.home.of);
        let of = match delivery.owner {
            Owner::Store => known.unwrap_or(home.census.count),
            // It was published before the change; long after one, by another partitioner.
            Owner::Kafka
                if home.census.is_unsettled(now.monotonic)
                    && home.elsewhere(&delivery.record.key).is_some() =>
            {
                home.census.before
            }
            Owner::Kafka => home.census.count,
        };
        HomePartition {
            number: home.partition.number,
            of,
        }
    }

    /// The same of what has no key.
    pub(super) fn home_partition_at(&self, place: Place) -> HomePartition {
        let home = &self.homes[place.home];
        HomePartition {
            number: home.partition.number,
            of: home.census.count,
        }
    }

    /// Whether another replica may know more of a delivery's key than this one.
    pub(super) fn may_be_elsewhere(&self, delivery: &Delivery, now: Now) -> bool {
        let census = &self.homes[delivery.place.home].census;
        delivery.owner == Owner::Store
            || delivery.is_misplaced
            || census.is_unsettled(now.monotonic)
    }

    /// Whether all that was tried of a delivery's key would be known here.
    pub(super) fn knows_all_of(&self, delivery: &Delivery, now: Now) -> bool {
        let home = &self.homes[delivery.place.home];
        home.census.is_noted && !home.gaps.may_have_lost() && !self.may_be_elsewhere(delivery, now)
    }

    /// Notes a record that was read from another partition than that of its key.
    pub(super) fn note_if_misplaced(&mut self, delivery: &mut Delivery) {
        let home = &self.homes[delivery.place.home];
        if let Some(right) = home.elsewhere(&delivery.record.key) {
            delivery.is_misplaced = true;
            self.misplaced.records += 1;
            self.misplaced.last = Some((home.coordinates(delivery.place), right));
        }
    }

    /// The first partition that a topic does not have, of each topic whose first one is this replica's and that was made again
    /// with fewer of them a while ago: what is undelivered of the others would have no owner. Who has not heard of more of them
    /// yet must not say so: those have owners.
    pub fn ends_of_topics(&self, now: Duration) -> Vec<Partition> {
        let firsts = self
            .homes
            .iter()
            .filter(|home| home.is_owned() && home.partition.number == 0);
        let end = |home: &Home| {
            let topic = home.partition.topic.clone();
            let number = home.census.count_since_fewer(now)?;
            Some(Partition { topic, number })
        };
        firsts.filter_map(end).collect()
    }
}
