//! `rate_limit`: as many requests a second as this replica's share of the partitions allows.
//!
//! All replicas together stay below the limit without speaking to each other: each knows how many partitions there are, and
//! takes what belongs to those that it owns. A token bucket, which begins empty: what moves brings nothing along.

use std::time::Duration;

/// How much may be made up for at once, as a time: the loop does not turn for every request of a high rate.
const BURST: Duration = Duration::from_millis(100);

/// A request costs one token. Sums of fractions of it are taken for whole when this little is missing.
const ROUNDING: f64 = 1e-9;

/// A destination's rate in this replica. Without a limit it always lets through, and remembers nothing.
#[derive(Debug)]
pub struct Rate {
    /// Requests a second of the whole group; 0 for none.
    limit: f64,
    /// Partitions of the destination, in all replicas. Until they are counted no share is known.
    partitions: Option<usize>,
    /// Requests a second of this replica.
    share: f64,
    tokens: f64,
    refilled_at: Duration,
}

impl Rate {
    pub fn new(limit: f64) -> Self {
        Self {
            limit,
            partitions: None,
            share: 0.0,
            tokens: 0.0,
            refilled_at: Duration::ZERO,
        }
    }

    /// Another limit from now on. What was saved under the last one is not spent under this.
    pub fn set_limit(&mut self, limit: f64) {
        if self.limit.total_cmp(&limit).is_ne() {
            *self = Self {
                partitions: self.partitions,
                refilled_at: self.refilled_at,
                ..Self::new(limit)
            };
        }
    }

    pub fn is_limited(&self) -> bool {
        self.limit > 0.0
    }

    /// Notes how many partitions there are.
    pub fn count(&mut self, partitions: usize) {
        self.partitions = Some(partitions);
    }

    /// Brings the bucket up to now; from now on it fills by the share of so many partitions.
    pub fn refill(&mut self, owned: usize, now: Duration) {
        if !self.is_limited() {
            return;
        }
        let seconds = now.saturating_sub(self.refilled_at).as_secs_f64();
        self.tokens = (self.tokens + seconds * self.share).min(self.tokens_max());
        self.refilled_at = now;
        let share = self.partitions.map_or(0.0, |all| share_of(owned, all));
        self.share = self.limit * share;
        // A smaller share has no right to what the larger one had saved.
        self.tokens = self.tokens.min(self.tokens_max());
    }

    fn tokens_max(&self) -> f64 {
        if self.share > 0.0 {
            (self.share * BURST.as_secs_f64()).max(1.0)
        } else {
            0.0
        }
    }

    /// Whether a request may leave, as of the last refill.
    pub fn allows(&self) -> bool {
        !self.is_limited() || self.tokens + ROUNDING >= 1.0
    }

    /// Notes that a request has left.
    pub fn spend(&mut self) {
        if self.is_limited() {
            self.tokens = (self.tokens - 1.0).max(0.0);
        }
    }

    /// When the next request may leave. None where that is now, or never.
    pub fn allows_at(&self) -> Option<Duration> {
        if self.allows() || self.share <= 0.0 {
            return None;
        }
        let seconds = (1.0 - self.tokens) / self.share;
        let wait = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        // What is rounded off would be waited for in vain.
        let wait = wait.saturating_add(Duration::from_nanos(1));
        Some(self.refilled_at.saturating_add(wait))
    }
}

fn share_of(owned: usize, all: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts of partitions")]
    let share = owned as f64 / all.max(owned).max(1) as f64;
    share
}

#[cfg(test)]
mod tests;
