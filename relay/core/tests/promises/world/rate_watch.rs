//! The world's own count of requests a second, against which `rate_limit` is held.

use std::time::Duration;

use super::REPLICAS;

/// What a replica may make up for at once, as a share of a second.
const BURST_SECONDS: f64 = 0.1;

/// How many requests all replicas together may send now.
pub struct RateWatch {
    /// A second; 0 for any number.
    limit: f64,
    allowed: f64,
    at: Duration,
}

impl RateWatch {
    pub fn new(limit: f64) -> Self {
        Self {
            limit,
            allowed: saved_max(limit),
            at: Duration::ZERO,
        }
    }

    /// Time has passed in which replicas thought to own so many partitions of so many. More than all, while one of them does
    /// not know that it was given up.
    pub fn pass(&mut self, owned: usize, all: usize, now: Duration) {
        let seconds = now.saturating_sub(self.at).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a few partitions")]
        let share = (owned as f64 / all as f64).max(1.0);
        self.allowed = (self.allowed + seconds * self.limit * share).min(saved_max(self.limit));
        self.at = now;
    }

    pub fn send(&mut self) {
        if self.limit > 0.0 {
            self.allowed -= 1.0;
            assert!(
                self.allowed >= -1e-6,
                "NEIGHBOUR: more than {} requests a second are sent",
                self.limit
            );
        }
    }
}

/// All replicas may have saved something, each at least one whole request.
fn saved_max(limit: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a few replicas")]
    let replicas = REPLICAS as f64;
    replicas * (limit * BURST_SECONDS).max(1.0)
}
