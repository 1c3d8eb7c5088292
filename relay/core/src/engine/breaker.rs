//! The breaker of a route: decides whether failures are the endpoint's, and how an endpoint that fails is probed.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use crate::names::KeyHash;
use crate::settings::{Breaker as Limits, BreakerOpen};

/// The window is kept as so many slices, so that memory does not grow with the rate.
const SLICES: u32 = 10;

/// Failed requests remembered per slice: more than any sensible `min_keys` asks for.
const FAILED_MAX: usize = 256;

/// Where a breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Requests flow.
    Closed,
    /// Nothing is sent until then.
    Open { until: Duration },
    /// One probe at a time.
    HalfOpen { since: Duration, is_probing: bool },
}

/// What an attempt says about the endpoint, from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sign {
    /// It answered sensibly, whatever it said about the record.
    Alive,
    /// It, or one of the records, is at fault.
    Unclear,
    /// It is at fault, whatever the record.
    Failing,
    /// It cannot be reached at all: connect, DNS, TLS.
    Unreachable,
}

/// One route's breaker.
#[derive(Debug)]
pub struct Breaker {
    limits: Limits,
    open: BreakerOpen,
    state: State,
    /// Openings since it was last closed.
    openings: u32,
    slices: VecDeque<Slice>,
}

#[derive(Debug, Default)]
struct Slice {
    begins: Duration,
    attempts: u64,
    failures: u64,
    /// The keys of failed requests, as many as could open the breaker.
    failed: Vec<Box<[KeyHash]>>,
}

impl Slice {
    fn remember(&mut self, keys: &[KeyHash]) {
        let is_known = self.failed.iter().any(|failed| **failed == *keys);
        if !is_known && self.failed.len() < FAILED_MAX {
            self.failed.push(keys.into());
        }
    }
}

impl Breaker {
    pub fn new(limits: Limits, open: BreakerOpen) -> Self {
        Self {
            limits,
            open,
            state: State::Closed,
            openings: 0,
            slices: VecDeque::new(),
        }
    }

    /// Other limits from now on. A breaker that they switch off lets requests flow.
    pub fn configure(&mut self, limits: Limits, open: BreakerOpen) {
        self.limits = limits;
        self.open = open;
        if self.is_off() {
            self.close();
        }
    }

    fn is_off(&self) -> bool {
        self.limits.failure_ratio <= 0.0
    }

    pub fn state(&self) -> State {
        self.state
    }

    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// Moves an open breaker whose time has come to half-open. True when it moved.
    pub fn advance(&mut self, now: Duration) -> bool {
        let is_due = matches!(self.state, State::Open { until } if until <= now);
        if is_due {
            self.state = State::HalfOpen {
                since: now,
                is_probing: false,
            };
        }
        is_due
    }

    /// Notes that the probe of a half-open breaker is on its way.
    pub fn begin_probe(&mut self) {
        if let State::HalfOpen { is_probing, .. } = &mut self.state {
            *is_probing = true;
        }
    }

    /// Notes that the probe was not made after all.
    pub fn forget_probe(&mut self) {
        if let State::HalfOpen { is_probing, .. } = &mut self.state {
            *is_probing = false;
        }
    }

    /// Notes how the probe ended.
    pub fn end_probe(&mut self, sign: Sign, now: Duration) {
        if self.is_off() {
            return;
        }
        match sign {
            Sign::Alive => self.close(),
            Sign::Unclear | Sign::Failing | Sign::Unreachable => self.trip(now),
        }
    }

    /// Notes a request that was not a probe, by its keys. True when it opened the breaker.
    ///
    /// One of which all deliveries have been charged before must not be noted: three poison keys on a quiet route would
    /// keep it open for ever.
    pub fn note(&mut self, keys: &[KeyHash], sign: Sign, now: Duration) -> bool {
        if self.is_off() || !self.is_closed() {
            return false;
        }
        let slice = self.slice_of(now);
        slice.attempts += 1;
        if sign == Sign::Alive {
            return false;
        }
        slice.failures += 1;
        match sign {
            Sign::Alive | Sign::Unclear => slice.remember(keys),
            Sign::Failing | Sign::Unreachable => keys.chunks(1).for_each(|key| slice.remember(key)),
        }
        let opens = sign == Sign::Unreachable || self.is_failing();
        if opens {
            self.trip(now);
        }
        opens
    }

    fn is_failing(&self) -> bool {
        let (mut attempts, mut failures) = (0, 0);
        for slice in &self.slices {
            attempts += slice.attempts;
            failures += slice.failures;
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "a ratio of counts far below 2^52"
        )]
        let ratio = failures as f64 / attempts as f64;
        ratio >= self.limits.failure_ratio && self.culprits() >= self.limits.min_keys
    }

    /// How many keys must be at fault at least if it is not the endpoint: one for each failed request that has no key in
    /// common with another. The smallest requests say the most.
    fn culprits(&self) -> usize {
        let mut failed: Vec<_> = self.slices.iter().flat_map(|slice| &slice.failed).collect();
        failed.sort_by_key(|keys| keys.len());
        let mut seen: HashSet<&KeyHash> = HashSet::new();
        let mut culprits = 0;
        for keys in failed {
            if !keys.iter().any(|key| seen.contains(key)) {
                culprits += 1;
                seen.extend(keys.iter());
            }
        }
        culprits
    }

    fn slice_of(&mut self, now: Duration) -> &mut Slice {
        let window = self.limits.window;
        let width = window / SLICES;
        while self
            .slices
            .front()
            .is_some_and(|slice| slice.begins + window < now)
        {
            self.slices.pop_front();
        }
        if self
            .slices
            .back()
            .is_none_or(|slice| slice.begins + width < now)
        {
            self.slices.push_back(Slice {
                begins: now,
                ..Slice::default()
            });
        }
        let last = self.slices.len() - 1;
        &mut self.slices[last]
    }

    fn close(&mut self) {
        self.state = State::Closed;
        self.openings = 0;
        self.slices.clear();
    }

    fn trip(&mut self, now: Duration) {
        let doubled = 2_u32.saturating_pow(self.openings);
        let wait = self.open.base.saturating_mul(doubled).min(self.open.cap);
        self.openings = self.openings.saturating_add(1);
        self.state = State::Open {
            until: now.saturating_add(wait),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaker() -> Breaker {
        let limits = Limits {
            failure_ratio: 0.5,
            min_keys: 3,
            window: seconds(60),
        };
        let open = BreakerOpen {
            base: seconds(5),
            cap: seconds(15),
        };
        Breaker::new(limits, open)
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    fn key(number: u8) -> KeyHash {
        KeyHash([number; 16])
    }

    #[test]
    fn one_key_that_always_fails_never_opens_it() {
        let mut breaker = breaker();
        for second in 0..1_000 {
            assert!(!breaker.note(&[key(1)], Sign::Unclear, seconds(second)));
        }
    }

    #[test]
    fn distinct_failing_keys_open_it() {
        let mut breaker = breaker();
        assert!(!breaker.note(&[key(1)], Sign::Unclear, seconds(1)));
        assert!(!breaker.note(&[key(2)], Sign::Unclear, seconds(2)));
        assert!(breaker.note(&[key(3)], Sign::Unclear, seconds(3)));
        assert_eq!(breaker.state(), State::Open { until: seconds(8) });
    }

    #[test]
    fn batches_that_may_fail_for_one_key_count_once() {
        let mut breaker = breaker();
        let batch = |numbers: [u8; 3]| numbers.map(key);
        for (second, numbers) in [[1, 2, 3], [1, 4, 5], [6, 7, 1], [1, 2, 3]]
            .iter()
            .enumerate()
        {
            assert!(!breaker.note(&batch(*numbers), Sign::Unclear, seconds(second as u64)));
        }
        assert!(!breaker.note(&[key(1)], Sign::Unclear, seconds(5)));
    }

    #[test]
    fn batches_without_a_key_in_common_open_it_and_so_do_the_keys_of_one_that_fail_alone() {
        let mut apart = breaker();
        assert!(!apart.note(&[key(1), key(2)], Sign::Unclear, seconds(1)));
        assert!(!apart.note(&[key(3), key(4)], Sign::Unclear, seconds(1)));
        assert!(apart.note(&[key(5), key(6)], Sign::Unclear, seconds(1)));

        let mut divided = breaker();
        let all = [key(1), key(2), key(3)];
        assert!(!divided.note(&all, Sign::Unclear, seconds(1)));
        assert!(!divided.note(&all[..1], Sign::Unclear, seconds(2)));
        assert!(!divided.note(&all[1..2], Sign::Unclear, seconds(2)));
        assert!(divided.note(&all[2..], Sign::Unclear, seconds(2)));
    }

    #[test]
    fn each_key_of_a_batch_counts_where_the_endpoint_is_at_fault_for_sure() {
        assert!(breaker().note(&[key(1), key(2), key(3)], Sign::Failing, seconds(1)));
    }

    #[test]
    fn failures_below_the_ratio_leave_it_closed() {
        let mut breaker = breaker();
        for number in 0..100 {
            breaker.note(&[key(number)], Sign::Alive, seconds(1));
        }
        for number in 0..99 {
            assert!(!breaker.note(&[key(number)], Sign::Unclear, seconds(2)));
        }
        assert!(breaker.note(&[key(99)], Sign::Unclear, seconds(3)));
    }

    #[test]
    fn failures_older_than_the_window_do_not_count() {
        let mut breaker = breaker();
        breaker.note(&[key(1)], Sign::Unclear, seconds(1));
        breaker.note(&[key(2)], Sign::Unclear, seconds(2));
        assert!(!breaker.note(&[key(3)], Sign::Unclear, seconds(90)));
    }

    #[test]
    fn an_endpoint_that_cannot_be_reached_opens_it_at_once() {
        assert!(breaker().note(&[key(1)], Sign::Unreachable, seconds(1)));
    }

    #[test]
    fn a_ratio_of_zero_switches_it_off() {
        let limits = Limits {
            failure_ratio: 0.0,
            min_keys: 1,
            window: seconds(60),
        };
        let mut breaker = Breaker::new(
            limits,
            BreakerOpen {
                base: seconds(5),
                cap: seconds(5),
            },
        );
        assert!(!breaker.note(&[key(1)], Sign::Unreachable, seconds(1)));
    }

    #[test]
    fn switched_off_while_it_probes_it_lets_requests_flow_whatever_becomes_of_the_probe() {
        let mut breaker = breaker();
        breaker.note(&[key(1)], Sign::Unreachable, seconds(0));
        assert!(breaker.advance(seconds(5)));
        breaker.begin_probe();
        let off = Limits {
            failure_ratio: 0.0,
            ..breaker.limits
        };
        breaker.configure(off, breaker.open);
        assert!(breaker.is_closed());
        breaker.end_probe(Sign::Failing, seconds(6));
        assert!(breaker.is_closed());
    }

    #[test]
    fn other_limits_leave_an_open_breaker_open_and_count_from_the_next_opening() {
        let mut breaker = breaker();
        breaker.note(&[key(1)], Sign::Unreachable, seconds(0));
        let open = BreakerOpen {
            base: seconds(1),
            cap: seconds(2),
        };
        breaker.configure(breaker.limits, open);
        assert_eq!(breaker.state(), State::Open { until: seconds(5) });
        assert!(breaker.advance(seconds(5)));
        breaker.begin_probe();
        breaker.end_probe(Sign::Failing, seconds(5));
        assert_eq!(breaker.state(), State::Open { until: seconds(7) });
    }

    #[test]
    fn the_wait_doubles_with_each_failed_probe_up_to_the_cap() {
        let mut breaker = breaker();
        breaker.note(&[key(1)], Sign::Unreachable, seconds(0));
        let mut waits = vec![];
        let mut now = seconds(0);
        for _ in 0..4 {
            let State::Open { until } = breaker.state() else {
                panic!("it is open")
            };
            waits.push(until.saturating_sub(now).as_secs());
            now = until;
            assert!(breaker.advance(now));
            breaker.begin_probe();
            breaker.end_probe(Sign::Unclear, now);
        }
        assert_eq!(waits, [5, 10, 15, 15]);
    }

    #[test]
    fn a_probe_that_gets_an_answer_closes_it() {
        let mut breaker = breaker();
        breaker.note(&[key(1)], Sign::Unreachable, seconds(0));
        assert!(!breaker.advance(seconds(4)));
        assert!(breaker.advance(seconds(5)));
        breaker.begin_probe();
        breaker.end_probe(Sign::Alive, seconds(6));
        assert!(breaker.is_closed());
    }
}
