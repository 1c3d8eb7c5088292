//! Replicas come and go, and partitions with them.

use relay_core::engine::{Action, Event};
use relay_core::names::Partition;

use super::carry_out::Writer;
use super::group::short;
use super::replica::{Asked, Fetch};
use super::topics::Topics;
use super::{REPLICAS, World};

impl World {
    /// The group tells who lost partitions, and gives those without an owner away.
    pub(super) fn settle(&mut self) {
        for who in 0..REPLICAS {
            self.tell_expelled(who);
        }
        let able: Vec<_> = (0..REPLICAS)
            .filter(|who| self.replicas[*who].may_be_assigned())
            .collect();
        for partition in self.group.without_owner(&self.topics) {
            if !able.is_empty() {
                let who = self.dice.pick(&able);
                self.assign(who, &partition);
            }
        }
    }

    fn assign(&mut self, who: usize, partition: &Partition) {
        self.group.give(partition, who);
        self.assignments += 1;
        let position = self.group.committed(partition);
        self.say(|| {
            format!(
                "replica {who} is assigned {} from {position}",
                short(partition)
            )
        });
        let fetch = Fetch {
            assignment: self.assignments,
            position,
            is_paused: true,
            is_revoked: false,
        };
        self.replicas[who].assigned.insert(partition.clone(), fetch);
        // Whatever is in the ledger by now, the new owner must know.
        for key in self
            .topics
            .keys()
            .into_iter()
            .filter(|key| key.partition == *partition && Topics::was_at(key).is_none())
        {
            let version = self.store.ledger_version(&key.name);
            self.replicas[who].floors.insert(key.name, version);
        }
        self.step(
            who,
            Event::Assigned {
                partition: partition.clone(),
            },
        );
        self.count_partitions(who);
        if self.dice.happens(70) {
            self.note_partitions(who);
        }
    }

    pub(super) fn tell_expelled(&mut self, who: usize) {
        let replica = &mut self.replicas[who];
        if replica.is_frozen || !replica.is_expelled {
            return;
        }
        replica.is_expelled = false;
        replica.floors.clear();
        let partitions: Vec<_> = std::mem::take(&mut replica.assigned).into_keys().collect();
        self.accounts.forget_replica(who);
        self.say(|| format!("replica {who} hears that it lost everything"));
        if self.dice.happens(50) {
            return self.step(who, Event::Lost { partitions });
        }
        self.step(who, Event::PollDeadlinePassed);
        self.keep_some_from_leaving(who);
    }

    /// It stood still so long that what it had asked for is not sent any more, as far as that had not left.
    fn keep_some_from_leaving(&mut self, who: usize) {
        let requests: Vec<_> = self.replicas[who].flights.keys().copied().collect();
        for request in requests {
            if self.dice.happens(50) {
                self.say(|| format!("replica {who}: {request:?} is not sent"));
                self.replicas[who].flights.remove(&request);
                self.step(who, Event::Unsent { request });
            }
        }
    }

    pub(super) fn rebalance(&mut self) {
        let partition = self.dice.pick(&self.topics.partitions());
        let Some(who) = self.group.owner(&partition) else {
            return;
        };
        let replica = &mut self.replicas[who];
        let Some(fetch) = replica.assigned.get_mut(&partition) else {
            return;
        };
        if replica.is_frozen || replica.is_stopping || fetch.is_revoked {
            return;
        }
        fetch.is_revoked = true;
        self.say(|| format!("replica {who} is to give up {}", short(&partition)));
        self.step(
            who,
            Event::Revoked {
                partitions: vec![partition],
            },
        );
    }

    pub(super) fn stop(&mut self, who: usize) {
        let replica = &mut self.replicas[who];
        if !replica.is_stopping && !replica.is_frozen && !replica.is_expelled {
            replica.is_stopping = true;
            self.say(|| format!("replica {who} is to stop"));
            self.step(who, Event::Stop);
        }
    }

    /// kill -9. What it had handed to the store may have arrived, or arrive late; its requests may be applied.
    pub(super) fn crash(&mut self, who: usize) {
        self.say(|| format!("replica {who} is killed"));
        let asked = std::mem::take(&mut self.replicas[who].asked);
        for asked in asked {
            let Asked::Of(Action::Flush { batch, rows }) = asked else {
                continue;
            };
            match self.dice.below(3) {
                0 if !self.store.is_down => self.write(self.writer_of(who, batch), &rows),
                1 => self.late_batches.push(rows),
                _ => {}
            }
        }
        for rider in self.replicas[who].riders() {
            if self.dice.happens(50) && self.endpoint.poison_of(&rider.key).is_none() {
                self.loose.push((rider.key.clone(), rider.id.version));
            }
        }
        self.group.expel(who);
        self.replace(who);
    }

    /// The group heard nothing of a replica for too long. Until it is told, it goes on as before.
    pub(super) fn expire(&mut self, who: usize) {
        if self.replicas[who].is_stopping {
            return;
        }
        self.say(|| format!("the group takes everything from replica {who}"));
        self.replicas[who].is_expelled = true;
        for partition in self.group.expel(who) {
            self.accounts.lose_count_of_partition(&partition);
        }
    }

    pub(super) fn write_late(&mut self) {
        if self.store.is_down || self.late_batches.is_empty() {
            return;
        }
        self.say(|| "the store writes a batch of a replica that is dead".into());
        let batch = self.late_batches.remove(0);
        self.write(Writer::Dead, &batch);
    }
}
