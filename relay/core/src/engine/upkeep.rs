//! The end of a burst: timers, lookups, requests, batches, commits, drains, in that order.

use std::time::Duration;

use super::breaker::State;
use super::event::Action;
use super::lane::Turn;
use super::table::{Home, Phase};
use super::{Engine, Mode, Step};

/// Keys of one lookup in the ledger.
const LOOKUP_KEYS_MAX: usize = 1_000;

impl Engine {
    pub(super) fn on_tick(&mut self, step: &mut Step<'_>) {
        if self.mode == Mode::Stopped {
            return;
        }
        self.run_timers(step.now.monotonic);
        self.look_up(step);
        self.look_for_gaps(step);
        self.load_due(step);
        self.dispatch(step);
        self.flush(step);
        self.commit(step);
        self.finish_drains(step);
        self.steer_fetching(step);
    }

    /// When the next [`super::Event::Tick`] is needed, if nothing else happens.
    pub fn next_timer(&self, now: Duration) -> Option<Duration> {
        let mut timers = vec![self.hold_until, self.journal.next_timer(), self.commit_at];
        timers.push(self.waits.first().map(|(due, _)| *due));
        timers.push(self.rate_allows_at());
        for (index, route) in self.routes.iter().enumerate() {
            let due = self.parked.next_due(index);
            timers.push(match route.breaker.state() {
                State::Closed => {
                    let due = due.filter(|_| self.has_room_for_parked(index));
                    let gathered = route.gathers_until.filter(|_| self.may_send_more());
                    due.into_iter().chain(gathered).min()
                }
                State::Open { until } => Some(until),
                State::HalfOpen { is_probing, .. }
                    if is_probing || !self.may_send() || !self.rate.allows() =>
                {
                    None
                }
                State::HalfOpen { since, .. } => {
                    let wait = Some(Self::probe_wait_ends(since)).filter(|ends| *ends > now);
                    wait.or(due.filter(|_| !route.is_loading_probe))
                }
            });
        }
        timers.into_iter().flatten().min()
    }

    fn run_timers(&mut self, now: Duration) {
        self.hold_until = self.hold_until.filter(|until| *until > now);
        for route in &mut self.routes {
            route.breaker.advance(now);
        }
        while let Some(&(due, key)) = self.waits.first().filter(|(due, _)| *due <= now) {
            self.waits.pop_first();
            let Some(lane) = self.lanes.get_mut(&key) else {
                continue;
            };
            let Some(waiting) = lane
                .waiting
                .as_mut()
                .filter(|waiting| waiting.turn == Turn::At(due))
            else {
                continue;
            };
            waiting.turn = Turn::Ready;
            let route = self.homes[waiting.delivery.place.home].route;
            self.routes[route].ready.push_back(key);
        }
    }

    fn look_up(&mut self, step: &mut Step<'_>) {
        for home in &mut self.homes {
            // What the ledger holds may be relied on once the partition's past is known.
            let is_early = self.routes[home.route].route.skip_unchanged && !home.knows_its_past();
            if home.lookups.asked_in.is_some() || home.lookups.waiting.is_empty() || is_early {
                continue;
            }
            let rest = home
                .lookups
                .waiting
                .split_off(home.lookups.waiting.len().min(LOOKUP_KEYS_MAX));
            let keys = std::mem::replace(&mut home.lookups.waiting, rest);
            home.lookups.asked_in = Some(home.epoch);
            step.actions.push(Action::ReadLedger {
                partition: home.partition.clone(),
                stream: home.stream.clone(),
                keys,
            });
        }
    }

    fn look_for_gaps(&mut self, step: &mut Step<'_>) {
        let are_ours = |home: &&mut Home| !matches!(home.phase, Phase::Away);
        for home in self.homes.iter_mut().filter(are_ours) {
            home.find_bounds(step.actions);
        }
    }

    fn flush(&mut self, step: &mut Step<'_>) {
        let is_urgent = self.is_draining();
        if let Some((batch, rows)) = self.journal.take(step.now.monotonic, is_urgent) {
            step.actions.push(Action::Flush { batch, rows });
        }
    }

    /// A batch is durable: its offsets have ended, its acknowledgements are in the ledger.
    pub(super) fn on_flushed(&mut self, batch: u64, step: &Step<'_>) {
        let Some(ends) = self.journal.written(batch) else {
            return;
        };
        for place in ends.offsets {
            let home = &mut self.homes[place.home];
            if home.epoch == place.epoch {
                home.offsets.end(place.offset);
                home.gaps.written(place.offset);
            }
        }
        for id in ends.kept {
            // Kept once more meanwhile: the row that counts is in a later batch.
            if !self.journal.keeps(id) {
                self.parked.written(id);
                // The count may have changed while it was tried.
                self.move_on(id, step.now);
            }
        }
        for key in ends.keys {
            if let Some(lane) = self.lanes.get_mut(&key) {
                lane.unflushed = lane.unflushed.saturating_sub(1);
            }
            self.drop_idle_lane(key);
        }
        self.commit_at
            .get_or_insert(step.now.monotonic + self.limits.commit_interval);
    }

    fn commit(&mut self, step: &mut Step<'_>) {
        if self.commit_at.is_none_or(|at| at > step.now.monotonic) {
            return;
        }
        self.commit_at = None;
        for home in self.homes.iter_mut().filter(|home| home.is_owned()) {
            if !home.gaps.hold_commits()
                && let Some(offset) = home.offsets.take_commit()
            {
                step.actions.push(Action::Commit {
                    partition: home.partition.clone(),
                    offset,
                });
            }
        }
    }

    fn has_room_for_parked(&self, route: usize) -> bool {
        self.may_send() && self.parked.in_memory() < self.parked_in_memory_max(route)
    }

    fn may_send_more(&self) -> bool {
        self.may_send() && self.rate.allows() && self.has_free_place()
    }
}
