//! Partitions come and go: loading, draining, losing, stopping.

use std::time::Duration;

use super::decision::{self, Decision};
use super::delivery::Delivery;
use super::event::{Action, RequestId};
use super::lane::Turn;
use super::parked::{Row, Wait};
use super::table::Phase;
use super::{Engine, Mode, Step};
use crate::backoff;
use crate::names::{KeyHash, Partition};
use crate::rows::{ParkedEntry, ParkedReason, ParkedState, PartitionState};
use crate::time::{Now, Timestamp};

impl Engine {
    pub(super) fn on_assigned(&mut self, partition: &Partition, step: &mut Step<'_>) {
        let Some(home) = self.home_or_insert(partition) else {
            return;
        };
        if self.mode != Mode::Running {
            return;
        }
        let home = &mut self.homes[home];
        home.leave();
        home.phase = Phase::Loading { early: vec![] };
        home.load(step.actions);
        home.find_bounds(step.actions);
    }

    pub(super) fn on_loaded(
        &mut self,
        partition: &Partition,
        state: PartitionState,
        step: &mut Step<'_>,
    ) {
        let Some(&index) = self.home_of.get(partition) else {
            return;
        };
        let home = &mut self.homes[index];
        let loaded_for = home.loading_for.take();
        let Phase::Loading { early } = &mut home.phase else {
            return;
        };
        // The partition was given up and came back meanwhile: another replica may have changed what was loaded.
        if loaded_for != Some(home.epoch) {
            return home.load(step.actions);
        }
        let early = std::mem::take(early);
        home.phase = Phase::Owned;
        // An acknowledgement of an earlier assignment may not be durable yet: the higher of both counts.
        home.watermark = home.watermark.max(state.watermark);
        home.gaps.offset_max = state.offset_max;
        let has_no_key = |entry: &ParkedEntry| entry.subject.record.is_none();
        home.gaps.has_lost |= state.parked.iter().any(has_no_key);
        for entry in state.parked {
            self.remember(index, entry, step.now);
        }
        self.move_rows_of(index, step.now);
        for record in early {
            self.on_record(record, step);
        }
        self.explain_early(index, step);
    }

    /// Enters an undelivered record of the store into the index.
    pub(super) fn remember(&mut self, home: usize, entry: ParkedEntry, now: Now) {
        self.index(home, entry, Wait::Due, now);
    }

    /// Enters an undelivered record that is on its way to the store.
    pub(super) fn remember_unwritten(&mut self, home: usize, entry: ParkedEntry, now: Now) {
        self.index(home, entry, Wait::Unwritten, now);
    }

    fn index(&mut self, home: usize, entry: ParkedEntry, waiting: fn(Duration) -> Wait, now: Now) {
        let wait = match entry.state {
            ParkedState::Parked {
                reason,
                next_attempt_at,
            } => waiting(self.due(home, reason, next_attempt_at, now)),
            ParkedState::Exhausted | ParkedState::Rejected | ParkedState::Quarantined => {
                Wait::ForAPerson
            }
        };
        let route = self.homes[home].route;
        self.parked.keep(Row {
            entry,
            home,
            route,
            wait,
        });
    }

    /// When a record is due of which the store says `at`. Whoever wrote that may have had another clock, or this one may have
    /// been set since: nobody waits for longer than a record is ever let wait, and what a person asked for does not wait.
    fn due(&self, home: usize, reason: ParkedReason, at: Timestamp, now: Now) -> Duration {
        let longest = match reason {
            ParkedReason::Manual => Duration::ZERO,
            ParkedReason::Retry | ParkedReason::Probe => {
                let retry = &self.route_at(home).retry;
                let breaker = self.settings.breaker_open.cap;
                let asked = self.settings.retry_after_max;
                backoff::longest(retry).max(breaker).max(asked)
            }
        };
        let latest = now.monotonic.saturating_add(longest);
        now.monotonic_at(at).min(latest)
    }

    /// A person asked for another attempt: the owner's index follows the store.
    pub(super) fn on_manual_retries(&mut self, entries: Vec<ParkedEntry>, step: &Step<'_>) {
        for entry in entries {
            let Some(&home) = self.home_of.get(&entry.partition()) else {
                continue;
            };
            if !self.homes[home].is_owned() {
                continue;
            }
            let wait = self.parked.get(entry.subject.id).map(|row| row.wait);
            match wait {
                Some(Wait::InMemory | Wait::Unwritten(_)) => self.parked.renew(entry),
                Some(Wait::Due(_) | Wait::ForAPerson) | None => {
                    let id = entry.subject.id;
                    self.remember(home, entry, step.now);
                    self.move_on(id, step.now);
                }
            }
        }
    }

    /// Begins to drain partitions: nothing new is sent, what has failed tries goes to the store, the rest stays Kafka's.
    pub(super) fn on_revoked(&mut self, partitions: &[Partition], step: &Step<'_>) {
        for partition in partitions {
            let Some(&index) = self.home_of.get(partition) else {
                continue;
            };
            match self.homes[index].phase {
                Phase::Owned => {
                    self.homes[index].phase = Phase::Draining;
                    self.empty_lanes(index, Some(step.now));
                }
                Phase::Loading { .. } => self.homes[index].phase = Phase::Draining,
                Phase::Away | Phase::Draining => {}
            }
        }
    }

    /// Forgets partitions at once. Requests in flight end in the log and the ledger; nothing is parked, for another
    /// replica may own the records now and Kafka gives them to it.
    pub(super) fn on_lost(&mut self, partitions: &[Partition]) {
        for partition in partitions {
            let Some(&index) = self.home_of.get(partition) else {
                continue;
            };
            if !matches!(self.homes[index].phase, Phase::Away) {
                self.empty_lanes(index, None);
                self.parked.remove_home(index);
                self.homes[index].leave();
            }
        }
    }

    /// The group gave everything away while this replica was silent: it sends nothing more until it is assigned anew.
    pub(super) fn on_poll_deadline_passed(&mut self) {
        let all: Vec<_> = self
            .homes
            .iter()
            .map(|home| home.partition.clone())
            .collect();
        self.on_lost(&all);
    }

    /// What a request was to carry is its next owner's, as if the request had never been thought of. Whoever did not make one
    /// has given everything up by then; if not, it does now.
    pub(super) fn on_unsent(&mut self, request: RequestId, step: &Step<'_>) {
        let Some(flight) = self.flights.remove(&request) else {
            return;
        };
        let is_ours = |delivery: &Delivery| !self.is_orphan(delivery);
        if flight.deliveries.iter().any(is_ours) {
            self.on_poll_deadline_passed();
        }
        for delivery in flight.deliveries {
            if flight.is_probe {
                let route = self.homes[delivery.place.home].route;
                self.routes[route].breaker.forget_probe();
            }
            self.forget(&delivery);
            let key = delivery.id.key_hash;
            let lane = self.lanes.get_mut(&key);
            let waiting = lane.and_then(|lane| {
                lane.in_flight = None;
                lane.waiting.take()
            });
            self.go_on(key, waiting, step);
        }
    }

    pub(super) fn on_stop(&mut self, step: &Step<'_>) {
        if self.mode == Mode::Running {
            self.mode = Mode::Stopping;
            let all: Vec<_> = self
                .homes
                .iter()
                .map(|home| home.partition.clone())
                .collect();
            self.on_revoked(&all, step);
        }
    }

    /// Releases the partitions whose drain is over.
    pub(super) fn finish_drains(&mut self, step: &mut Step<'_>) {
        for index in 0..self.homes.len() {
            let home = &mut self.homes[index];
            let is_drained = matches!(home.phase, Phase::Draining)
                && home.flights == 0
                && !self.journal.holds(index);
            if !is_drained {
                continue;
            }
            let partition = home.partition.clone();
            if !home.gaps.hold_commits()
                && let Some(offset) = home.offsets.take_commit()
            {
                step.actions.push(Action::Commit {
                    partition: partition.clone(),
                    offset,
                });
            }
            home.leave();
            self.parked.remove_home(index);
            step.actions.push(Action::Release { partition });
        }
        let is_done = self.mode == Mode::Stopping
            && self.flights.is_empty()
            && self.journal.is_empty()
            && self
                .homes
                .iter()
                .all(|home| matches!(home.phase, Phase::Away));
        if is_done {
            self.mode = Mode::Stopped;
            step.actions.push(Action::Stopped);
        }
    }

    /// Some partition is being drained.
    pub(super) fn is_draining(&self) -> bool {
        self.mode != Mode::Running
            || self
                .homes
                .iter()
                .any(|home| matches!(home.phase, Phase::Draining))
    }

    /// Takes what waits in the lanes of a partition out of memory. With `parking_at`, what has failed tries is parked,
    /// so that its attempts stay exact; what was never tried is Kafka's, or the store's, all the same.
    fn empty_lanes(&mut self, home: usize, parking_at: Option<Now>) {
        self.forget_aside(home);
        let keys: Vec<KeyHash> = self
            .lanes
            .iter()
            .filter(|(_, lane)| {
                lane.waiting
                    .as_ref()
                    .is_some_and(|waiting| waiting.delivery.place.home == home)
            })
            .map(|(key, _)| *key)
            .collect();
        for key in keys {
            let Some(waiting) = self
                .lanes
                .get_mut(&key)
                .and_then(|lane| lane.waiting.take())
            else {
                continue;
            };
            let delivery = *waiting.delivery;
            match parking_at {
                // What took the place of a failed one goes to the store as well: Kafka would bring back both.
                Some(now) if delivery.has_failed_tries() || delivery.instead_of.is_some() => {
                    self.park_leaving(delivery, waiting.turn, now);
                }
                Some(_) | None => self.forget(&delivery),
            }
            self.drop_idle_lane(key);
        }
    }

    fn park_leaving(&mut self, mut delivery: Delivery, turn: Turn, now: Now) {
        let due = match turn {
            Turn::At(due) => due.saturating_sub(now.monotonic),
            Turn::Ready | Turn::CheckingLedger => Duration::ZERO,
        };
        let route = &self.routes[self.homes[delivery.place.home].route];
        let decision = if route.breaker.is_closed() {
            decision::park(&route.route.retry, &mut delivery.tally, due)
        } else {
            // The tries were the endpoint's fault.
            delivery.tally.suspected = 0;
            Decision::Park(due)
        };
        let state = match decision {
            Decision::Exhaust => ParkedState::Exhausted,
            Decision::Park(wait) | Decision::Wait(wait) => parked(ParkedReason::Retry, now, wait),
            Decision::Hold | Decision::Divide { .. } => {
                parked(ParkedReason::Retry, now, Duration::ZERO)
            }
        };
        self.keep(&delivery, state, now);
    }

    /// Forgets a delivery without ending it: its owner brings it back.
    pub(super) fn forget(&mut self, delivery: &Delivery) {
        self.buffered_bytes = self
            .buffered_bytes
            .saturating_sub(delivery.record.memory_bytes());
    }

    pub(super) fn drop_idle_lane(&mut self, key: KeyHash) {
        if self.lanes.get(&key).is_some_and(super::lane::Lane::is_idle) {
            self.lanes.remove(&key);
        }
    }

    /// Whether a delivery belongs to an assignment that has ended: it must not be parked nor its offset ended.
    pub(super) fn is_orphan(&self, delivery: &Delivery) -> bool {
        self.homes[delivery.place.home].epoch != delivery.place.epoch
    }
}

/// Waiting in the store for so long.
pub(super) fn parked(reason: ParkedReason, now: Now, wait: Duration) -> ParkedState {
    ParkedState::Parked {
        reason,
        next_attempt_at: now.wall_at(now.monotonic.saturating_add(wait)),
    }
}
