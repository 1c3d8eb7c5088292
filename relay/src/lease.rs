//! How long this replica may believe that it owns what it was given.
//!
//! The group takes everything from a member that it has not heard of for `session_timeout`, and tells others first. A process
//! that stood still for so long (stopped, or starved) must not go on where it was: what it had thought of sending by then is
//! not sent any more, and it joins its groups anew.
//!
//! A thread of its own, `pulse`, renews the lease: as long as it runs, so do the threads that tell the group of this member,
//! whatever the loop waits for. What the loop asks for belongs to the term in which it asked; a term ends when the lease was
//! not renewed in time.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::clock::Clock;

/// How often it is renewed.
const PULSE: Duration = Duration::from_millis(250);

/// No term.
const NONE: u64 = u64::MAX;

/// Copies are of one lease.
#[derive(Debug, Clone)]
pub struct Lease(Arc<State>);

#[derive(Debug)]
struct State {
    clock: Clock,
    length: Duration,
    /// In microseconds of the clock.
    renewed_at: AtomicU64,
    /// Counted from 0.
    term: AtomicU64,
    /// The term in which it was not renewed in time.
    lapsed_in: AtomicU64,
}

/// When something was asked for; by default in the first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Term(u64);

impl Lease {
    /// A lease that begins now, and that somebody must renew.
    pub fn new(clock: Clock, length: Duration) -> Self {
        let lease = Self(Arc::new(State {
            clock,
            length,
            renewed_at: AtomicU64::new(0),
            term: AtomicU64::new(0),
            lapsed_in: AtomicU64::new(NONE),
        }));
        lease.0.touch();
        lease
    }

    /// A lease that the thread `pulse` renews until nobody holds it any more.
    ///
    /// # Errors
    /// When the thread cannot be created.
    pub fn pulsing(clock: Clock, length: Duration) -> io::Result<Self> {
        let lease = Self::new(clock, length);
        let state = Arc::downgrade(&lease.0);
        let thread = std::thread::Builder::new().name("pulse".into());
        thread.spawn(move || pulse(&state))?;
        Ok(lease)
    }

    /// Whether this process stood still for too long, and nothing was given up since.
    pub fn has_lapsed(&self) -> bool {
        let state = &self.0;
        state.lapsed_in.load(Ordering::Acquire) == state.term.load(Ordering::Acquire)
            || state.is_overdue()
    }

    /// Everything that belongs to the term is given up by now: another one begins.
    pub fn begin_term(&self) {
        self.0.term.fetch_add(1, Ordering::AcqRel);
        self.0.touch();
    }

    pub fn term(&self) -> Term {
        Term(self.0.term.load(Ordering::Acquire))
    }

    /// Whether what was asked for in that term may be done now.
    pub fn allows(&self, term: Term) -> bool {
        term == self.term() && !self.has_lapsed()
    }
}

impl State {
    fn now(&self) -> u64 {
        micros(self.clock.now().monotonic)
    }

    fn is_overdue(&self) -> bool {
        // The clock first: a pulse in between makes it younger, not older.
        let now = self.now();
        self.is_too_long(self.renewed_at.load(Ordering::Acquire), now)
    }

    fn is_too_long(&self, from: u64, until: u64) -> bool {
        until.saturating_sub(from) > micros(self.length)
    }

    fn renew(&self) {
        let term = self.term.load(Ordering::Acquire);
        let now = self.now();
        let renewed_at = self.renewed_at.load(Ordering::Acquire);
        // Before it looks young again.
        if self.is_too_long(renewed_at, now) {
            self.lapsed_in.store(term, Ordering::Release);
        }
        self.renewed_at.store(now, Ordering::Release);
    }

    fn touch(&self) {
        self.renewed_at.store(self.now(), Ordering::Release);
    }
}

fn pulse(state: &Weak<State>) {
    while let Some(state) = state.upgrade() {
        state.renew();
        drop(state);
        std::thread::sleep(PULSE);
    }
}

/// Enough for half a million years.
fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    /// So long that any clock has moved.
    fn stand_still() {
        std::thread::sleep(Duration::from_millis(1));
    }

    #[test]
    fn it_lapses_when_nobody_renews_it_in_time() {
        let (lapsed, held) = (
            Lease::new(Clock::start(), Duration::ZERO),
            Lease::new(Clock::start(), LONG),
        );
        stand_still();
        assert!(lapsed.has_lapsed());
        assert!(!lapsed.allows(lapsed.term()));
        assert!(!held.has_lapsed());
        assert!(held.allows(held.term()));
    }

    #[test]
    fn renewed_too_late_it_stays_lapsed_until_another_term_begins() {
        let state = |lease: &Lease| lease.0.clone();
        let lease = Lease::new(Clock::start(), LONG);
        state(&lease).lapsed_in.store(0, Ordering::Release);
        state(&lease).renew();
        assert!(lease.has_lapsed(), "though it looks young again");
        let earlier = lease.term();
        lease.begin_term();
        assert!(!lease.has_lapsed());
        assert!(!lease.allows(earlier));
        assert!(lease.allows(lease.term()));

        let hasty = Lease::new(Clock::start(), Duration::ZERO);
        stand_still();
        state(&hasty).renew();
        assert_eq!(state(&hasty).lapsed_in.load(Ordering::Acquire), 0);
    }

    #[test]
    fn a_pulse_keeps_it_whatever_its_holders_wait_for() {
        let lease = Lease::pulsing(Clock::start(), LONG).unwrap();
        let began = lease.0.renewed_at.load(Ordering::Acquire);
        while lease.0.renewed_at.load(Ordering::Acquire) == began {
            std::thread::yield_now();
        }
        assert!(lease.allows(lease.term()));
    }
}
