//! Failures that may be the endpoint's: they are when records without a key in common fail at the same time, and many.

use std::time::Duration;

use crate::names::KeyHash;

/// So many failed requests without a key in common are not the fault of one or two records.
const DISTINCT: usize = 3;

/// They are at least this part of all that ends: an endpoint that fails now and then, however few there are, gains nothing
/// from being sent fewer.
const ONE_IN: u32 = 10;

/// What is looked at together: so many requests, and so long, as among very many some always fail together.
const ENDED_MIN: u32 = 30;
const LASTS_MIN: Duration = Duration::from_millis(50);

#[derive(Debug, Default)]
pub struct Troubles {
    began: Duration,
    /// Requests that ended since, well or not, and as long before.
    ended: u32,
    ended_before: u32,
    failed: u32,
    /// The keys of failed requests that have none in common, each in order.
    distinct: Vec<Box<[KeyHash]>>,
}

impl Troubles {
    /// Counts a request that ended, well or not.
    pub fn pass_one(&mut self, now: Duration) {
        if self.ended >= ENDED_MIN && now.saturating_sub(self.began) >= LASTS_MIN {
            self.ended_before = self.ended;
            self.began = now;
            self.ended = 0;
            self.forget();
        }
        self.ended = self.ended.saturating_add(1);
    }

    /// Notes a failed request. True when it is not for their records that they fail; then all are forgotten.
    pub fn are_the_endpoint_s(&mut self, keys: &[KeyHash]) -> bool {
        if self.distinct.len() < DISTINCT {
            if keys.iter().any(|key| self.is_known(key)) {
                return false;
            }
            let mut keys: Box<[KeyHash]> = keys.into();
            keys.sort_unstable();
            self.distinct.push(keys);
        }
        self.failed += 1;
        let ended = self.ended.max(self.ended_before);
        let are_many = self.failed.saturating_mul(ONE_IN) >= ended;
        let are = self.distinct.len() >= DISTINCT && are_many;
        if are {
            self.forget();
        }
        are
    }

    fn is_known(&self, key: &KeyHash) -> bool {
        let mut known = self.distinct.iter();
        known.any(|keys| keys.binary_search(key).is_ok())
    }

    fn forget(&mut self) {
        self.failed = 0;
        self.distinct.clear();
    }
}
