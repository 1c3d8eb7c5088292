//! Which partitions are fetched: while nothing can be sent, Kafka is the buffer.

use std::time::Duration;

use super::breaker::State;
use super::event::Action;
use super::table::{Home, Phase, RouteState};
use super::{Engine, Mode, Step};

/// At least so many records may wait for a rate limit before no more are fetched.
const READY_MIN: usize = 64;

/// Why a destination fetches nothing. Stored and shown by these words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// By an operator.
    Paused,
    /// Versions of a source went back, and an operator has not had a look at it.
    VersionsBack,
    RetryAfter,
    /// So many requests a second have been sent.
    RateLimit,
    /// The store cannot be written.
    Store,
    ParkedMax,
    Buffer,
}

impl Hold {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Paused => "paused",
            Self::VersionsBack => "versions_back",
            Self::RetryAfter => "retry_after",
            Self::RateLimit => "rate_limit",
            Self::Store => "store",
            Self::ParkedMax => "parked_max",
            Self::Buffer => "buffer",
        }
    }
}

impl Engine {
    /// Why the whole destination is held, if it is.
    pub fn hold(&self) -> Option<Hold> {
        if self.paused.is_some() {
            return Some(Hold::Paused);
        }
        if !self.went_back.is_empty() {
            return Some(Hold::VersionsBack);
        }
        if self.hold_until.is_some() {
            return Some(Hold::RetryAfter);
        }
        if self.journal.is_backlogged() {
            return Some(Hold::Store);
        }
        let undelivered = self.undelivered.max(self.parked.len() as u64);
        if undelivered >= self.settings.parked_max {
            return Some(Hold::ParkedMax);
        }
        (self.buffered_bytes >= self.limits.buffer_bytes_max).then_some(Hold::Buffer)
    }

    /// Whether requests wait for nothing but the rate limit.
    pub(super) fn waits_for_rate(&self) -> bool {
        self.may_send()
            && !self.rate.allows()
            && self.ready_count() > 0
            && self.homes.iter().any(Home::is_owned)
    }

    /// When the rate limit lets through what wants to be sent. A probe may still have to be found for it.
    pub(super) fn rate_allows_at(&self) -> Option<Duration> {
        let at = self.rate.allows_at().filter(|_| self.may_send())?;
        let may_probe = |route: &RouteState| {
            let state = route.breaker.state();
            matches!(state, State::HalfOpen { is_probing, .. } if !is_probing)
        };
        let wants_to_send = self.ready_count() > 0 || self.routes.iter().any(may_probe);
        wants_to_send.then_some(at)
    }

    /// Brings the rate limit up to now, and to the partitions that this replica owns now.
    pub(super) fn refill_rate(&mut self, now: Duration) {
        if self.rate.is_limited() {
            let owned = self.homes.iter().filter(|home| home.is_owned()).count();
            self.rate.refill(owned, now);
        }
    }

    /// Keys whose turn has come, or nearly: some of them may have been passed over.
    fn ready_count(&self) -> usize {
        self.routes.iter().map(|route| route.ready.len()).sum()
    }

    /// A rate limit lets little through: what is read far ahead of it would only fill memory. Pausing and resuming is dear, so
    /// half of what was read must have left before more is.
    fn steer_by_rate(&mut self) {
        if !self.rate.is_limited() {
            self.is_read_ahead = false;
            return;
        }
        let ready = self.ready_count();
        let of_route = |route| self.parked_in_memory_max(route);
        let in_flight = (0..self.routes.len()).map(of_route).max().unwrap_or(0);
        let enough = (in_flight * 2).max(READY_MIN);
        self.is_read_ahead = if self.is_read_ahead {
            ready > enough / 2
        } else {
            ready >= enough
        };
    }

    pub(super) fn steer_fetching(&mut self, step: &mut Step<'_>) {
        self.steer_by_rate();
        let hold = self.hold();
        let has_no_room = match hold {
            // What cannot be decoded would be kept at once, and then the next.
            Some(Hold::Store | Hold::Buffer | Hold::ParkedMax) => true,
            Some(Hold::Paused | Hold::VersionsBack | Hold::RetryAfter | Hold::RateLimit) | None => {
                self.mode != Mode::Running
            }
        };
        let held_routes: Vec<bool> = (0..self.routes.len())
            .map(|route| self.is_route_held(route))
            .collect();
        for home in &mut self.homes {
            let pauses = match home.phase {
                // Paused by who assigned it.
                Phase::Away | Phase::Loading { .. } => continue,
                Phase::Draining => true,
                Phase::Owned if has_no_room || home.is_refused => true,
                // One record is read all the same: its age is the lag.
                Phase::Owned => {
                    let is_held = hold.is_some() || self.is_read_ahead || held_routes[home.route];
                    is_held && home.offsets.open_count() > 0
                }
            };
            if pauses == home.is_paused {
                continue;
            }
            home.is_paused = pauses;
            let partition = home.partition.clone();
            step.actions.push(if pauses {
                Action::Pause { partition }
            } else {
                Action::Resume { partition }
            });
        }
    }

    /// A half-open breaker fetches until it has a record that was never tried.
    fn is_route_held(&self, route: usize) -> bool {
        match self.routes[route].breaker.state() {
            State::Closed => false,
            State::Open { .. }
            | State::HalfOpen {
                is_probing: true, ..
            } => true,
            State::HalfOpen { .. } => self.has_fresh_candidate(route),
        }
    }
}
