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
    /// Of some record of a batch: nobody pays before it is known whose it is, in requests of at most so many.
    Shared { at_most: usize },
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
    /// Deliveries of the request, itself included.
    pub deliveries: usize,
    /// The answer's `Retry-After`, clamped.
    pub retry_after: Option<Duration>,
    /// 0 to 1.
    pub random: f64,
}

impl Circumstances {
    /// Whether another record of the request may be at fault.
    fn are_several(&self) -> bool {
        self.deliveries > 1
    }
}

/// What happens next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Tried again in memory after that long.
    Wait(Duration),
    /// Waits in memory until the breaker lets it through.
    Hold,
    /// Tried again in memory after that long, in a request of at most so many records.
    Divide { at_most: usize, after: Duration },
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
        // The breaker that opened while it was on its way forgives its earlier tries, too.
        Fault::Suspect | Fault::Endpoint if !is_breaker_closed => tally.suspected = 0,
        Fault::Suspect if !circumstances.are_several() => {
            tally.suspected = tally.suspected.saturating_add(1);
        }
        Fault::Suspect | Fault::Endpoint | Fault::Shared { .. } => {}
    }
    if let Fault::Shared { at_most } = fault {
        return divide(at_most, retry, tally, circumstances);
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
    } else if fault == Fault::Suspect && circumstances.are_several() {
        divide(1, retry, tally, circumstances)
    } else {
        park(retry, tally, wait)
    }
}

/// Nobody pays for what failed in company; for its tries before, alone, a delivery that cannot stay pays as any that is parked.
fn divide(
    at_most: usize,
    retry: &Retry,
    tally: &mut Tally,
    circumstances: &Circumstances,
) -> Decision {
    let asked = circumstances.retry_after.unwrap_or_default();
    if !circumstances.is_leaving {
        // What it asks for beyond that it can ask of each alone, which has a budget to be parked by.
        let after = asked.min(IN_PLACE_WAIT_MAX);
        Decision::Divide { at_most, after }
    } else if circumstances.is_breaker_closed {
        park(retry, tally, asked)
    } else {
        Decision::Park(asked)
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
        // What failed in company is waited for as well.
        Fault::Suspect if circumstances.are_several() => tally.tries,
        Fault::Record | Fault::Suspect => tally.charged.saturating_add(tally.suspected),
        Fault::Endpoint | Fault::Shared { .. } => tally.attempts,
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
            deliveries: 1,
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
                Decision::Wait(_) | Decision::Hold | Decision::Divide { .. } => {}
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
    fn an_endpoints_failure_behind_an_open_breaker_forgives_the_tries_before_it() {
        let mut tally = Tally {
            attempts: 1,
            suspected: 1,
            tries: 1,
            charged: 0,
        };
        let circumstances = Circumstances {
            is_breaker_closed: false,
            ..failing(Fault::Endpoint)
        };
        after_failure(&retry(), &mut tally, &circumstances);
        assert_eq!((tally.charged, tally.suspected), (0, 0));
    }

    #[test]
    fn nobody_pays_for_what_failed_in_company_before_it_has_failed_alone() {
        let mut tally = Tally::default();
        let in_company = Circumstances {
            deliveries: 8,
            ..failing(Fault::Suspect)
        };
        let mut decide = |circumstances| after_failure(&retry(), &mut tally, circumstances);
        assert_eq!(decide(&in_company), Decision::Wait(Duration::from_secs(1)));
        assert_eq!(decide(&in_company), Decision::Wait(Duration::from_secs(3)));
        assert_eq!(decide(&in_company), divided(1, Duration::ZERO));
        let alone = failing(Fault::Suspect);
        assert_eq!(decide(&alone), Decision::Park(Duration::from_secs(1)));
        assert_eq!((tally.attempts, tally.charged), (4, 1));
    }

    #[test]
    fn a_refused_batch_is_divided_at_once_and_parked_uncharged_where_it_cannot_stay() {
        let mut tally = Tally::default();
        let refused = Circumstances {
            deliveries: 8,
            ..failing(Fault::Shared { at_most: 4 })
        };
        let leaving = Circumstances {
            is_leaving: true,
            ..refused
        };
        let mut decide = |circumstances| after_failure(&retry(), &mut tally, circumstances);
        assert_eq!(decide(&refused), divided(4, Duration::ZERO));
        assert_eq!(decide(&leaving), Decision::Park(Duration::ZERO));
        assert_eq!((tally.attempts, tally.charged), (2, 0));
    }

    #[test]
    fn a_refused_batch_that_asks_for_a_pause_is_divided_after_it() {
        let seconds = Duration::from_secs;
        for (asked, after) in [(7, 7), (3_600, 30)] {
            let refused = Circumstances {
                deliveries: 8,
                retry_after: Some(seconds(asked)),
                ..failing(Fault::Shared { at_most: 4 })
            };
            let leaving = Circumstances {
                is_leaving: true,
                ..refused
            };
            let decide = |it| after_failure(&retry(), &mut Tally::default(), it);
            assert_eq!(decide(&refused), divided(4, seconds(after)));
            assert_eq!(decide(&leaving), Decision::Park(seconds(asked)));
        }
    }

    fn divided(at_most: usize, after: Duration) -> Decision {
        Decision::Divide { at_most, after }
    }

    #[test]
    fn what_failed_alone_is_paid_for_when_company_sends_it_to_the_store() {
        for fault in [Fault::Shared { at_most: 4 }, Fault::Suspect] {
            for (is_breaker_closed, charged) in [(true, 1), (false, 0)] {
                let mut tally = Tally::default();
                after_failure(&retry(), &mut tally, &failing(Fault::Suspect));
                let leaving = Circumstances {
                    deliveries: 8,
                    is_leaving: true,
                    is_breaker_closed,
                    ..failing(fault)
                };
                let decision = after_failure(&retry(), &mut tally, &leaving);
                assert!(matches!(decision, Decision::Park(_)), "{decision:?}");
                assert_eq!((tally.attempts, tally.charged), (2, charged), "{fault:?}");
            }
        }
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
