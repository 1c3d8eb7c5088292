//! What to do with a delivery whose attempt failed: policy alone, as a function of counts.

use std::time::Duration;

use super::delivery::Tally;
use crate::backoff;
use crate::settings::Retry;

/// Longer waits happen in the store: a record that waits in memory holds back the offsets of its partition.
const IN_PLACE_WAIT_MAX: Duration = Duration::from_secs(30);

/// Whose fault a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The record's: spends budget.
    Record,
    /// Unclear: the record's while the breaker is closed.
    Suspect,
    /// The endpoint's: never spends budget.
    Endpoint,
}

/// What surrounds a failed attempt.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances {
    pub fault: Fault,
    pub is_breaker_closed: bool,
    /// Its row stands in the store: one attempt at a time.
    pub was_parked: bool,
    /// Its partition is being given up: nothing stays in memory.
    pub is_leaving: bool,
    /// The answer's `Retry-After`, clamped.
    pub retry_after: Option<Duration>,
    /// 0 to 1.
    pub random: f64,
}

/// What happens next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Tried again in memory after that long.
    Wait(Duration),
    /// Waits in memory until the breaker lets it through.
    Hold,
    /// Goes to the store, due after that long.
    Park(Duration),
    /// Retries are used up.
    Exhaust,
}

/// Counts a failed attempt and decides.
pub fn after_failure(retry: &Retry, tally: &mut Tally, circumstances: &Circumstances) -> Decision {
    let Circumstances {
        fault,
        is_breaker_closed,
        ..
    } = *circumstances;
    tally.attempts = tally.attempts.saturating_add(1);
    tally.tries = tally.tries.saturating_add(1);
    match fault {
        Fault::Record => tally.charged = tally.charged.saturating_add(1),
        Fault::Suspect if is_breaker_closed => tally.suspected = tally.suspected.saturating_add(1),
        Fault::Suspect => tally.suspected = 0,
        Fault::Endpoint => {}
    }
    if fault != Fault::Record && !is_breaker_closed {
        let stays = !circumstances.is_leaving && !circumstances.was_parked;
        return if stays {
            Decision::Hold
        } else {
            Decision::Park(Duration::ZERO)
        };
    }
    if is_used_up(retry, tally) {
        return Decision::Exhaust;
    }
    let wait = wait(retry, tally, circumstances);
    let stays = !circumstances.was_parked
        && !circumstances.is_leaving
        && tally.tries <= retry.in_place
        && wait <= IN_PLACE_WAIT_MAX;
    if stays {
        Decision::Wait(wait)
    } else {
        park(retry, tally, wait)
    }
}

/// Settles the series of a delivery that goes to the store while the breaker is closed.
pub fn park(retry: &Retry, tally: &mut Tally, wait: Duration) -> Decision {
    tally.charged = tally.charged.saturating_add(tally.suspected);
    tally.suspected = 0;
    if is_used_up(retry, tally) {
        Decision::Exhaust
    } else {
        Decision::Park(wait)
    }
}

fn is_used_up(retry: &Retry, tally: &Tally) -> bool {
    tally.charged > retry.max_retries
}

fn wait(retry: &Retry, tally: &Tally, circumstances: &Circumstances) -> Duration {
    let tries = match circumstances.fault {
        Fault::Record | Fault::Suspect => tally.charged.saturating_add(tally.suspected),
        Fault::Endpoint => tally.attempts,
    };
    let delay = backoff::delay(retry, tries.max(1), circumstances.random);
    match (circumstances.fault, circumstances.retry_after) {
        (Fault::Record, Some(asked)) => delay.max(asked),
        // An endpoint's Retry-After holds the whole destination instead.
        _ => delay,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retry() -> Retry {
        Retry {
            max_retries: 4,
            in_place: 2,
            base: Duration::from_secs(1),
            factor: 3.0,
            cap: Duration::from_secs(3600),
            jitter: 0.0,
        }
    }

    fn failing(fault: Fault) -> Circumstances {
        Circumstances {
            fault,
            is_breaker_closed: true,
            was_parked: false,
            is_leaving: false,
            retry_after: None,
            random: 0.5,
        }
    }

    /// Fails again and again, in place and then parked, until it is exhausted or `limit` attempts were made.
    fn live_through(fault: Fault, limit: u32) -> (Vec<Decision>, Tally) {
        let mut tally = Tally::default();
        let mut decisions = vec![];
        let mut circumstances = failing(fault);
        while tally.attempts < limit {
            let decision = after_failure(&retry(), &mut tally, &circumstances);
            decisions.push(decision);
            match decision {
                Decision::Park(_) => {
                    circumstances.was_parked = true;
                    tally.tries = 0;
                }
                Decision::Exhaust => break,
                Decision::Wait(_) | Decision::Hold => {}
            }
        }
        (decisions, tally)
    }

    #[test]
    fn a_failing_record_is_tried_in_place_then_parked_then_exhausted() {
        for fault in [Fault::Record, Fault::Suspect] {
            let (decisions, tally) = live_through(fault, 100);
            assert_eq!(
                decisions,
                [
                    Decision::Wait(Duration::from_secs(1)),
                    Decision::Wait(Duration::from_secs(3)),
                    Decision::Park(Duration::from_secs(9)),
                    Decision::Park(Duration::from_secs(27)),
                    Decision::Exhaust
                ]
            );
            assert_eq!((tally.attempts, tally.charged), (5, 5));
        }
    }

    #[test]
    fn an_endpoints_failures_never_spend_budget() {
        let (decisions, tally) = live_through(Fault::Endpoint, 50);
        assert!(!decisions.contains(&Decision::Exhaust));
        assert_eq!((tally.attempts, tally.charged), (50, 0));
    }

    #[test]
    fn a_suspect_failure_behind_an_open_breaker_is_held_and_forgiven() {
        let mut tally = Tally {
            attempts: 1,
            suspected: 1,
            tries: 1,
            charged: 0,
        };
        let circumstances = Circumstances {
            is_breaker_closed: false,
            ..failing(Fault::Suspect)
        };
        assert_eq!(
            after_failure(&retry(), &mut tally, &circumstances),
            Decision::Hold
        );
        assert_eq!((tally.charged, tally.suspected), (0, 0));
    }

    #[test]
    fn nothing_stays_in_memory_when_the_partition_leaves() {
        let mut tally = Tally::default();
        let leaving = Circumstances {
            is_leaving: true,
            ..failing(Fault::Suspect)
        };
        assert_eq!(
            after_failure(&retry(), &mut tally, &leaving),
            Decision::Park(Duration::from_secs(1))
        );
        assert_eq!(tally.charged, 1);
    }

    #[test]
    fn no_retries_means_one_attempt() {
        let none = Retry {
            max_retries: 0,
            in_place: 0,
            ..retry()
        };
        assert_eq!(
            after_failure(&none, &mut Tally::default(), &failing(Fault::Suspect)),
            Decision::Exhaust
        );
    }

    #[test]
    fn a_records_retry_after_delays_it_in_the_store() {
        let asked = Duration::from_secs(600);
        let circumstances = Circumstances {
            retry_after: Some(asked),
            ..failing(Fault::Record)
        };
        assert_eq!(
            after_failure(&retry(), &mut Tally::default(), &circumstances),
            Decision::Park(asked)
        );
    }
}
