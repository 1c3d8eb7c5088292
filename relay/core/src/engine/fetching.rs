//! Which partitions are fetched: while nothing can be sent, Kafka is the buffer.

use super::breaker::State;
use super::event::Action;
use super::table::Phase;
use super::{Engine, Mode, Step};

/// Why a destination fetches nothing. Stored and shown by these words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// By an operator.
    Paused,
    RetryAfter,
    /// The store cannot be written.
    Store,
    ParkedMax,
    Buffer,
}

impl Hold {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Paused => "paused",
            Self::RetryAfter => "retry_after",
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

    pub(super) fn steer_fetching(&mut self, step: &mut Step<'_>) {
        let hold = self.hold();
        let has_no_room = match hold {
            // What cannot be decoded would be kept at once, and then the next.
            Some(Hold::Store | Hold::Buffer | Hold::ParkedMax) => true,
            Some(Hold::Paused | Hold::RetryAfter) | None => self.mode != Mode::Running,
        };
        let held_routes: Vec<bool> = (0..self.routes.len())
            .map(|route| self.is_route_held(route))
            .collect();
        for home in &mut self.homes {
            let pauses = match home.phase {
                // Paused by who assigned it.
                Phase::Away | Phase::Loading { .. } => continue,
                Phase::Draining => true,
                Phase::Owned if has_no_room => true,
                // One record is read all the same: its age is the lag.
                Phase::Owned => {
                    let is_held = hold.is_some() || held_routes[home.route];
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
