//! `concurrency`: how many requests may be in flight now, from one up to what the settings name.
//!
//! Adaptive, it looks for as many as the endpoint can work on at once. Answers are gathered in rounds ([`round`]). One during
//! which the limit was used says whether more requests may be tried, or fewer should be: where answers take longer than
//! they need, they have waited in a queue. What they need is learnt by trial: if half as many requests take as long, it
//! was no queue of ours, and all of them may go again. Failures that are not a record's own ([`troubles`]) lower the
//! limit at once. docs/adr/0011 says why it is done so.
mod round;
mod troubles;

use std::time::Duration;

use self::round::Round;
use self::troubles::Troubles;
use crate::names::KeyHash;
use crate::settings::Destination;

/// The first limit. Low, so that the first answers show how long one takes that waits for no other; it is doubled as long as
/// nothing is too much.
const FIRST: u32 = 2;

/// Waiting that is nobody's concern, besides half the time that an answer takes: so little is as often the relay's own, or
/// the network's.
const TOLERATED: Duration = Duration::from_millis(5);

/// How long a limit that proved to be too high is not tried again.
const CEILING_LASTS: Duration = Duration::from_secs(5);

/// How often half as many requests are tried where the endpoint bears no more: what it was measured by may be out of date.
const TRIAL_INTERVAL: Duration = Duration::from_secs(30);

/// An answer counts for so many usual ones at most: one that hung must not speak for all.
const OUTLIER: u32 = 8;

/// Longer answers are not told apart, so that sums of them stay far from overflowing.
const LATENCY_MAX: Duration = Duration::from_secs(600);

/// Most requests in flight, as of now.
#[derive(Debug)]
pub struct Limiter {
    most: u32,
    is_adaptive: bool,
    limit: u32,
    /// Nothing has been too much yet.
    is_starting: bool,
    /// How long an answer takes that waits for no other, as far as is known.
    base: Option<Duration>,
    /// How long the last ones took.
    usual: Option<Duration>,
    ceiling: Option<Ceiling>,
    trial: Option<Trial>,
    /// When a trial ended, or was not needed.
    tried_at: Duration,
    /// The last round was slow. The next one decides: the endpoint may have become slow in the middle of the last.
    is_doubted: bool,
    /// Answers to what was sent before say nothing about the limit of now.
    moved_at: Duration,
    /// For failures of what was sent before, the limit was lowered already.
    cut_at: Duration,
    round: Round,
    troubles: Troubles,
}

/// The highest limit that has not proved too high.
#[derive(Debug, Clone, Copy)]
struct Ceiling {
    limit: u32,
    until: Duration,
}

/// Fewer requests are being tried: what it was like before.
#[derive(Debug, Clone, Copy)]
struct Trial {
    limit: u32,
    mean: Duration,
}

impl Trial {
    /// Whether they are so much fewer that a queue can be told from an endpoint that takes its time.
    fn is_complete(self, limit: u32) -> bool {
        limit.saturating_mul(2) <= self.limit
    }

    /// In a queue half as many wait half as long.
    fn has_helped(self, mean: Duration) -> bool {
        mean.saturating_mul(4) <= self.mean.saturating_mul(3)
    }
}

/// How fast answers come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    Fine,
    Slow,
    /// So slow that few answers are enough to say so.
    VerySlow,
}

impl Limiter {
    /// As many as the endpoint bears, if it is to adapt.
    pub fn new(settings: &Destination) -> Self {
        if settings.is_adaptive {
            Self::adaptive(settings.concurrency)
        } else {
            Self::fixed(settings.concurrency)
        }
    }

    /// Always as many.
    fn fixed(most: usize) -> Self {
        let most = u32::try_from(most).unwrap_or(u32::MAX).max(1);
        Self {
            most,
            is_adaptive: false,
            limit: most,
            is_starting: true,
            base: None,
            usual: None,
            ceiling: None,
            trial: None,
            tried_at: Duration::ZERO,
            is_doubted: false,
            moved_at: Duration::ZERO,
            cut_at: Duration::ZERO,
            round: Round::default(),
            troubles: Troubles::default(),
        }
    }

    /// As many as the endpoint bears, and never more than that.
    fn adaptive(most: usize) -> Self {
        let fixed = Self::fixed(most);
        Self {
            is_adaptive: true,
            limit: FIRST.min(fixed.most),
            ..fixed
        }
    }

    /// Other settings from now on. What was learnt of the endpoint stays true.
    pub fn configure(&mut self, settings: &Destination) {
        let fresh = Self::new(settings);
        if fresh.is_adaptive && self.is_adaptive {
            self.most = fresh.most;
            self.limit = self.limit.min(fresh.most);
            self.trial = None;
        } else {
            *self = fresh;
        }
    }

    pub fn limit(&self) -> usize {
        self.limit as usize
    }

    /// Notes that so many requests have been in flight until now.
    pub fn pass(&mut self, in_flight: usize, now: Duration) {
        if self.is_adaptive {
            self.round.pass(in_flight, now);
        }
    }

    /// The endpoint took that long for an answer, whatever it said about the records.
    pub fn answered(&mut self, sent_at: Duration, latency: Duration, now: Duration) {
        if !self.is_adaptive {
            return;
        }
        self.troubles.pass_one(now);
        if sent_at < self.moved_at {
            return;
        }
        let usual = self.usual.unwrap_or(LATENCY_MAX);
        self.round
            .note(latency.min(usual.saturating_mul(OUTLIER)).min(LATENCY_MAX));
        if self.round.is_over(self.limit, now) {
            self.look_at_round(now);
        }
    }

    /// A request of these keys was refused, or failed in a way that may be the endpoint's fault.
    pub fn troubled(&mut self, keys: &[KeyHash], sent_at: Duration, now: Duration) {
        if !self.is_adaptive {
            return;
        }
        self.troubles.pass_one(now);
        if sent_at >= self.cut_at && self.troubles.are_the_endpoint_s(keys) {
            self.cut_at = now;
            self.trial = None;
            self.lower_to(self.limit - self.limit.div_ceil(4), now);
        }
    }

    fn look_at_round(&mut self, now: Duration) {
        if !self.round.is_used(self.limit) {
            self.round = Round::begin(now);
            return;
        }
        let mean = self.round.mean();
        self.usual = Some(mean);
        match self.pace(mean) {
            // There is more to learn than what this round would still say.
            Pace::Fine if self.trial.is_none() && self.limit < self.most => {
                self.speed_up(mean, now);
            }
            Pace::Slow | Pace::VerySlow if self.trial.is_none() && !self.is_doubted => {
                self.is_doubted = true;
                self.round = Round::begin(now);
            }
            Pace::VerySlow => self.judge(mean, now),
            Pace::Fine | Pace::Slow if self.round.is_sure(self.limit) => self.judge(mean, now),
            Pace::Fine | Pace::Slow => {}
        }
    }

    fn judge(&mut self, mean: Duration, now: Duration) {
        self.round = Round::begin(now);
        if let Some(trial) = self.trial.take_if(|trial| trial.is_complete(self.limit)) {
            self.tried_at = now;
            if !trial.has_helped(mean) {
                self.base = Some(mean);
                self.ceiling = None;
                self.is_doubted = false;
                return self.move_to(trial.limit, now);
            }
        }
        self.learn(mean);
        if self.pace(mean) == Pace::Fine {
            self.speed_up(mean, now);
        } else {
            self.slow_down(mean, now);
        }
    }

    /// By chance some rounds are faster than the endpoint is: what they say is believed by and by.
    fn learn(&mut self, mean: Duration) {
        let base = self.base.get_or_insert(mean);
        *base -= base.saturating_sub(mean) / 8;
    }

    fn pace(&mut self, mean: Duration) -> Pace {
        let slow = slow_above(*self.base.get_or_insert(mean));
        if mean <= slow {
            Pace::Fine
        } else if mean <= slow * 2 {
            Pace::Slow
        } else {
            Pace::VerySlow
        }
    }

    /// As many as do not wait, if the queue is to blame; not less than half of what it was, because it may not be.
    fn slow_down(&mut self, mean: Duration, now: Duration) {
        let limit = self.limit;
        if limit == 1 {
            // It cannot have waited for another.
            self.base = Some(mean);
            self.trial = None;
            self.is_doubted = false;
            return;
        }
        self.trial.get_or_insert(Trial { limit, mean });
        let slow = slow_above(self.base.unwrap_or(mean));
        let without_queue = u128::from(limit) * slow.as_nanos() / mean.as_nanos().max(1);
        let without_queue = u32::try_from(without_queue).unwrap_or(limit);
        self.lower_to(without_queue.clamp(limit / 2, limit - limit / 8), now);
    }

    fn speed_up(&mut self, mean: Duration, now: Duration) {
        self.trial = None;
        self.is_doubted = false;
        let limit = self.limit;
        if limit == self.most {
            self.tried_at = now;
            return;
        }
        let is_trial_due = now.saturating_sub(self.tried_at) >= TRIAL_INTERVAL;
        if is_trial_due && limit > 1 && !self.is_starting {
            self.trial = Some(Trial { limit, mean });
            return self.move_to(limit / 2, now);
        }
        let step = if self.is_starting {
            limit
        } else {
            (limit / 4).max(1)
        };
        let mut next = limit.saturating_add(step);
        if let Some(ceiling) = self.ceiling {
            next = next.min(ceiling.limit + u32::from(now >= ceiling.until));
            self.ceiling = Some(ceiling).filter(|ceiling| next <= ceiling.limit);
        }
        self.move_to(next, now);
    }

    /// The limit of now is too high.
    fn lower_to(&mut self, limit: u32, now: Duration) {
        if self.is_starting {
            self.is_starting = false;
            self.tried_at = now;
        }
        self.is_doubted = false;
        let below = (self.limit - 1).max(1);
        self.ceiling = Some(Ceiling {
            limit: below,
            until: now + CEILING_LASTS,
        });
        self.move_to(limit.min(below), now);
    }

    fn move_to(&mut self, limit: u32, now: Duration) {
        let limit = limit.clamp(1, self.most);
        if limit != self.limit {
            self.moved_at = now;
        }
        self.limit = limit;
        self.round = Round::begin(now);
    }
}

/// Answers that take longer have waited, where an answer takes so long.
fn slow_above(base: Duration) -> Duration {
    base + base / 2 + TOLERATED
}

#[cfg(test)]
mod tests;
