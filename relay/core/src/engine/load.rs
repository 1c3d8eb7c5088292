//! What the end of a request says about how many the endpoint bears. A request counts, however many records it carried.

use std::time::Duration;

use super::Engine;
use super::attempt::Attempt;
use super::delivery::Delivery;
use crate::exchange::{End, Exchange};
use crate::verdict::{Class, Verdict};

impl Engine {
    /// Tells the limiter how a request ended, by the worst that is said of one of its records. What breakers are there for
    /// is no matter of how many: a route whose breaker is open says nothing, nor does its probe.
    pub(super) fn tell_limiter(
        &mut self,
        deliveries: &[Delivery],
        worst: &Verdict,
        attempt: &Attempt,
        now: Duration,
    ) {
        let route = &self.routes[self.homes[deliveries[0].place.home].route];
        if attempt.is_probe || !route.breaker.is_closed() {
            return;
        }
        match (load_of(worst), attempt.latency) {
            (Load::Borne, Some(latency)) => self.limiter.answered(attempt.sent_at, latency, now),
            (Load::TooMuch, _) => {
                // Those that have been charged before are the usual suspects.
                let mut tallies = deliveries.iter().map(|delivery| delivery.tally);
                if tallies.any(|tally| tally.charged == 0) {
                    let keys: Vec<_> = deliveries.iter().map(|one| one.id.key_hash).collect();
                    self.limiter.troubled(&keys, attempt.sent_at, now);
                }
            }
            (Load::Borne, None) | (Load::Unknown, _) => {}
        }
    }
}

enum Load {
    /// It was answered as if there were no other.
    Borne,
    /// It, or one of its records.
    TooMuch,
    /// What failed has nothing to do with it.
    Unknown,
}

fn load_of(verdict: &Verdict) -> Load {
    match (verdict.class, verdict.status) {
        (Class::Delivered | Class::Stale { .. }, _) => Load::Borne,
        (_, Some(429)) | (Class::Suspect, _) | (Class::Endpoint, Some(500..)) => Load::TooMuch,
        (Class::Endpoint, _) => Load::Unknown,
        (Class::Reject | Class::Retry | Class::Divide(_), _) => Load::Borne,
    }
}

/// What the endpoint took for its answer, without the time it took to reach it. None when it gave none.
pub(super) fn latency(exchange: &Exchange) -> Option<Duration> {
    match exchange.end {
        End::Answered(_) => {
            let timings = exchange.timings;
            let milliseconds = timings.total_ms - timings.connect_ms.unwrap_or(0.0);
            Some(Duration::try_from_secs_f32(milliseconds / 1_000.0).unwrap_or_default())
        }
        End::Failed { .. } => None,
    }
}
