//! How long this replica may believe that it owns what it was given.
//!
//! The group takes everything from a member that it has not heard of for `session_timeout`, and tells others first. A process
//! that stood still for so long (a paused machine, a starved one) must not go on where it was: what it had thought of sending
//! by then is not sent any more, and it joins its groups anew.
//!
//! The loop renews the lease with every turn. What it asks for belongs to the term in which it asked; a term ends when the
//! lease was not renewed in time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Clock;

/// Copies are of one lease.
#[derive(Debug, Clone)]
pub struct Lease {
    clock: Clock,
    session_timeout: Duration,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    /// In microseconds of the clock.
    renewed_at: AtomicU64,
    /// Counted from 0.
    term: AtomicU64,
}

/// When something was asked for; by default in the first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Term(u64);

impl Lease {
    /// A lease that begins now.
    pub fn new(clock: Clock, session_timeout: Duration) -> Self {
        let lease = Self {
            clock,
            session_timeout,
            state: Arc::new(State {
                renewed_at: AtomicU64::new(0),
                term: AtomicU64::new(0),
            }),
        };
        lease.renew();
        lease
    }

    /// To be called with every turn, of what has not lapsed.
    pub fn renew(&self) {
        let now = micros(self.clock.now().monotonic);
        self.state.renewed_at.store(now, Ordering::Release);
    }

    /// Whether it was not renewed in time.
    pub fn has_lapsed(&self) -> bool {
        // The clock first: a turn that comes in between makes it younger, not older.
        let now = micros(self.clock.now().monotonic);
        let renewed_at = self.state.renewed_at.load(Ordering::Acquire);
        now.saturating_sub(renewed_at) > micros(self.session_timeout)
    }

    /// Everything that belongs to the term is given up by now: another one begins.
    pub fn begin_term(&self) {
        self.state.term.fetch_add(1, Ordering::AcqRel);
        self.renew();
    }

    pub fn term(&self) -> Term {
        Term(self.state.term.load(Ordering::Acquire))
    }

    /// Whether what was asked for in that term may be done now.
    pub fn allows(&self, term: Term) -> bool {
        term == self.term() && !self.has_lapsed()
    }
}

/// Enough for half a million years.
fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lapses_when_nobody_renews_it_for_longer_than_the_session() {
        let lapsed = Lease::new(Clock::start(), Duration::ZERO);
        let held = Lease::new(Clock::start(), Duration::from_secs(600));
        std::thread::sleep(Duration::from_millis(1));
        assert!(lapsed.has_lapsed());
        assert!(!lapsed.allows(lapsed.term()));
        assert!(!held.has_lapsed());
        assert!(held.allows(held.term()));
    }

    #[test]
    fn what_was_asked_for_in_an_earlier_term_is_not_allowed_any_more() {
        let lease = Lease::new(Clock::start(), Duration::from_secs(600));
        let earlier = lease.term();
        lease.begin_term();
        assert!(!lease.allows(earlier));
        assert!(lease.allows(lease.term()));
    }
}
