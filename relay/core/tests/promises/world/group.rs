//! The consumer group: who owns which partition, and what is committed.

use std::collections::BTreeMap;

use relay_core::names::{Coordinates, Partition};

use super::store::Store;
use super::topics::Topics;

#[derive(Default)]
pub struct Group {
    owners: BTreeMap<Partition, usize>,
    committed: BTreeMap<Partition, i64>,
    loses_next_commit: bool,
}

impl Group {
    pub fn owner(&self, partition: &Partition) -> Option<usize> {
        self.owners.get(partition).copied()
    }

    pub fn is_owner(&self, who: usize, partition: &Partition) -> bool {
        self.owner(partition) == Some(who)
    }

    pub fn without_owner(&self, topics: &Topics) -> Vec<Partition> {
        topics
            .partitions()
            .into_iter()
            .filter(|partition| self.owner(partition).is_none())
            .collect()
    }

    pub fn give(&mut self, partition: &Partition, who: usize) {
        self.owners.insert(partition.clone(), who);
    }

    /// A partition that its owner gave up.
    pub fn take_back(&mut self, who: usize, partition: &Partition) {
        if self.is_owner(who, partition) {
            self.owners.remove(partition);
        }
    }

    /// Takes everything from a replica.
    pub fn expel(&mut self, who: usize) -> Vec<Partition> {
        let mut taken = vec![];
        self.owners.retain(|partition, owner| {
            if *owner == who {
                taken.push(partition.clone());
            }
            *owner != who
        });
        taken
    }

    /// The offset that was committed, if any was.
    pub fn committed_ever(&self, partition: &Partition) -> Option<i64> {
        self.committed.get(partition).copied()
    }

    pub fn committed(&self, partition: &Partition) -> i64 {
        self.committed.get(partition).copied().unwrap_or(0)
    }

    pub fn lose_next_commit(&mut self) {
        self.loses_next_commit = true;
    }

    pub fn recover(&mut self) {
        self.loses_next_commit = false;
    }

    /// Commits an offset. The broker refuses what comes from a member of an earlier generation.
    pub fn commit(
        &mut self,
        who: usize,
        partition: &Partition,
        offset: i64,
        topics: &Topics,
        store: &Store,
    ) {
        if !self.is_owner(who, partition) || std::mem::take(&mut self.loses_next_commit) {
            return;
        }
        let before = self.committed(partition);
        assert!(
            offset >= before,
            "LOST: {} was committed back from {before} to {offset}",
            short(partition)
        );
        let skipped: Option<Coordinates> = topics
            .between(partition, before, offset)
            .into_iter()
            .find(|at| !store.explains(at));
        // Before its first commit nobody knows how far a group had come.
        let known = self.committed_ever(partition).unwrap_or(offset);
        let lost = topics
            .expired_between(partition, known, offset)
            .into_iter()
            .find(|at| !store.explains(at) && !store.says_lost(at));
        assert!(
            lost.is_none(),
            "LOST: {offset} of {} is committed, {lost:?} had expired before it was read, and no failure says so",
            short(partition)
        );
        assert!(
            skipped.is_none(),
            "LOST: {offset} of {} is committed, but {skipped:?} neither ended in the log nor is undelivered in the store",
            short(partition)
        );
        self.committed.insert(partition.clone(), offset);
    }
}

/// A partition as the trace shows it.
pub fn short(partition: &Partition) -> String {
    let model = partition.topic.rsplit('.').next().unwrap_or_default();
    format!("{model}/{}", partition.number)
}
