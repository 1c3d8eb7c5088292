//! Everything works again: time passes until nothing is left to do, and everything must have arrived.

use std::time::Duration;

use relay_core::engine::Event;
use relay_core::names::Partition;
use relay_core::rows::ParkedState;

use super::group::short;
use super::replica::Replica;
use super::store::is_gap;
use super::topics::Key;
use super::{REPLICAS, World};

/// Rounds until nothing may be left to do.
const ROUNDS_MAX: usize = 4_000;

/// What a replica does before it waits for something.
const TURNS_MAX: usize = 10_000;

/// Rounds with traffic, so that breakers can close again.
const ROUNDS_WITH_TRAFFIC: usize = 200;

impl World {
    /// Everything but the keys that the consumer cannot take.
    pub fn heal(&mut self) {
        self.say(|| "everything works again".into());
        self.endpoint.heal();
        self.store.recover();
        self.group.recover();
        self.topics.publish_all_late(&mut self.dice);
        while !self.late_batches.is_empty() {
            self.write_late();
        }
        for (key, version) in std::mem::take(&mut self.loose) {
            self.endpoint.apply(&key, version);
        }
        self.is_paused = false;
        self.topics.raise_generation();
        self.person_resumes();
        for replica in &mut self.replicas {
            replica.is_frozen = false;
            replica.clock_error = 0;
        }
        self.let_time_pass();
    }

    /// The consumer takes every key, every replica is restarted, and people retry all that is undelivered.
    pub fn heal_wholly(&mut self) {
        self.endpoint.cure_poison();
        for who in 0..REPLICAS {
            self.stop(who);
            self.let_time_pass();
        }
        for _ in 0..3 {
            let wall = self.moment(0).wall;
            for id in self.store.retry_all(wall) {
                self.accounts.lose_count_of(id);
            }
            self.let_time_pass();
        }
    }

    /// Time passes until nothing is left to do.
    pub fn let_time_pass(&mut self) {
        for round in 0..ROUNDS_MAX {
            self.steps += 1;
            self.settle();
            for who in 0..REPLICAS {
                self.look_out(who);
                self.work_off(who);
            }
            let next = self
                .replicas
                .iter()
                .filter_map(|replica| replica.engine.next_timer(self.now))
                .min();
            let is_held = (0..REPLICAS).any(|who| self.is_held_by_a_breaker(who));
            let has_traffic = is_held && round < ROUNDS_WITH_TRAFFIC;
            if next.is_none() && round > 2 && !has_traffic && self.is_quiet() {
                return;
            }
            // One key that nobody can take may probe for ever, where nothing else is read until people have acted.
            if round > ROUNDS_WITH_TRAFFIC && is_held && self.is_held_for_people() {
                return;
            }
            if has_traffic {
                self.produce_everywhere();
            }
            self.now = next.unwrap_or(self.now).max(self.now) + Duration::from_millis(1);
            self.tick_all();
        }
        let views: Vec<_> = self
            .replicas
            .iter()
            .map(|replica| replica.engine.view(self.now))
            .collect();
        panic!("STUCK: after {ROUNDS_MAX} rounds there is still something to do: {views:?}");
    }

    /// A breaker that has traffic to close it.
    fn is_held_by_a_breaker(&self, who: usize) -> bool {
        let Some(breaker) = self.breaker(who) else {
            return false;
        };
        let owned = self.replicas[who].engine.owned_partitions();
        owned
            .iter()
            .any(|partition| partition.topic.ends_with(&breaker.model))
    }

    /// So much is undelivered that nothing is read.
    fn is_held_for_people(&self) -> bool {
        self.store.undelivered().count() as u64 >= self.rules.knobs.parked_max
    }

    fn is_quiet(&self) -> bool {
        let may_read = |replica: &Replica| {
            let fetched = replica
                .assigned
                .iter()
                .filter(|(_, fetch)| !fetch.is_paused);
            fetched
                .into_iter()
                .any(|(partition, fetch)| self.topics.record(partition, fetch.position).is_some())
        };
        let is_idle = |replica: &Replica| replica.is_idle() && !may_read(replica);
        self.replicas.iter().all(is_idle) && self.group.without_owner(&self.topics).is_empty()
    }

    /// Everything that a replica can do now.
    fn work_off(&mut self, who: usize) {
        self.read(who, 64);
        self.step(who, Event::Tick);
        let mut turns = 0;
        while !self.replicas[who].is_idle() {
            turns += 1;
            assert!(turns < TURNS_MAX, "STUCK: replica {who} never gets done");
            if !self.replicas[who].asked.is_empty() {
                self.serve(who, 0);
            } else if !self.replicas[who].arriving.is_empty() {
                self.hear(who, 0);
            } else if let Some(request) = self.replicas[who].flights.keys().next().copied() {
                self.answer(who, request);
            }
            self.step(who, Event::Tick);
        }
    }

    /// A record of a sound key for each partition.
    fn produce_everywhere(&mut self) {
        self.topics.clock = self.wall();
        for partition in self.topics.partitions() {
            let is_sound = |key: &Key| {
                key.partition == partition && self.endpoint.poison_of(&key.name).is_none()
            };
            let sound: Vec<_> = self.topics.keys().into_iter().filter(is_sound).collect();
            if !sound.is_empty() {
                let key = self.dice.pick(&sound);
                self.topics.produce_new(&key, &mut self.dice);
            }
        }
    }

    /// What has not arrived is visible as a failure, and nothing waits any more.
    pub fn assert_all_is_delivered_or_visible(&self) {
        let is_held = self.is_held_for_people();
        for (key, version) in self.topics.newest_versions() {
            let row = self.store.row(key.delivery_id(version));
            let is_there = self.is_consumer_content(&key.name, version) || row.is_some();
            assert!(
                is_there || is_held,
                "LOST: {} v{version} is neither delivered nor visible as a failure",
                key.name
            );
        }
        let is_waiting = |state| matches!(state, ParkedState::Parked { .. });
        let waiting = self.store.undelivered().find(|row| {
            is_waiting(row.state) && self.accounts.knows(row.subject.id, &row.partition())
        });
        let may_probe = is_held && (0..REPLICAS).any(|who| self.is_held_by_a_breaker(who));
        assert!(
            waiting.is_none() || may_probe,
            "STUCK: nobody retries {waiting:?}"
        );
    }

    /// Every record has ended, and the consumer has the newest version of every key.
    pub fn assert_converged(&self) {
        for (key, version) in self.topics.newest_versions() {
            assert!(
                self.is_consumer_content(&key.name, version),
                "LOST: the consumer never got {} v{version}",
                key.name
            );
        }
        let left = self
            .store
            .undelivered()
            .find(|row| !is_gap(row) && !self.topics.is_rubbish(&row.coordinates));
        assert!(left.is_none(), "STUCK: still undelivered: {left:?}");
        for partition in self.topics.partitions() {
            self.assert_read_to_its_end(&partition);
        }
        for (who, replica) in self.replicas.iter().enumerate() {
            let view = replica.engine.view(self.now);
            assert!(
                view.in_flight == 0 && view.open_records == 0 && view.buffered_bytes == 0,
                "MEMORY: replica {who} has nothing to do and still holds {view:?}"
            );
        }
    }

    /// Whether the consumer has a version of a key, a newer one, or what that version says from an older one that it took, or
    /// says to have taken.
    fn is_consumer_content(&self, key: &str, version: u64) -> bool {
        let said = self.endpoint.version(key);
        let is_skipped = || {
            let mut held = [said, self.endpoint.held(key)].into_iter();
            held.any(|held| self.topics.are_same(key, held, version))
        };
        said >= version || self.rules.may_skip && is_skipped()
    }

    fn assert_read_to_its_end(&self, partition: &Partition) {
        let (committed, end) = (self.group.committed(partition), self.topics.end(partition));
        if self.group.committed_ever(partition).is_none() && self.topics.is_empty(partition) {
            return;
        }
        assert_eq!(
            committed,
            end,
            "STUCK: {} is committed up to {committed} of {end}",
            short(partition)
        );
    }

    /// The newest versions of the keys that the consumer cannot take.
    pub fn assert_poison_is_exhausted(&self) {
        for (key, version) in self.topics.newest_versions() {
            if self.endpoint.poison_of(&key.name).is_some() {
                let state = self
                    .store
                    .row(key.delivery_id(version))
                    .map(|row| row.state);
                assert!(
                    matches!(state, Some(ParkedState::Exhausted | ParkedState::Rejected)),
                    "BUDGET: {} v{version} is {state:?}, not exhausted",
                    key.name
                );
            } else {
                assert!(
                    self.is_consumer_content(&key.name, version),
                    "NEIGHBOUR: {} v{version} was held up",
                    key.name
                );
            }
        }
    }
}
