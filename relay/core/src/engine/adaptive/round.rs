//! A round: what is gathered before a limit is judged.

use std::time::Duration;

/// Answers of a round at least, and as many as the limit: each place had its turn.
const ANSWERS_MIN: u32 = 10;

/// So many answers that chance hardly plays a part.
const SURE: u32 = 100;

/// Endpoints that answer at once do not move the limit at each of their answers.
const LASTS_MIN: Duration = Duration::from_millis(50);

#[derive(Debug, Default)]
pub struct Round {
    began: Duration,
    seen_at: Duration,
    /// Of all requests together.
    time_in_flight: Duration,
    answers: u32,
    latencies: Duration,
}

impl Round {
    pub fn begin(now: Duration) -> Self {
        Self {
            began: now,
            seen_at: now,
            ..Self::default()
        }
    }

    /// Notes that so many requests have been in flight until now. A round begins with the first of them.
    pub fn pass(&mut self, in_flight: usize, now: Duration) {
        if in_flight == 0 && self.answers == 0 {
            *self = Self::begin(now);
            return;
        }
        let in_flight = u32::try_from(in_flight).unwrap_or(u32::MAX);
        let time = now.saturating_sub(self.seen_at).saturating_mul(in_flight);
        self.time_in_flight = self.time_in_flight.saturating_add(time);
        self.seen_at = now;
    }

    /// Notes how long an answer took.
    pub fn note(&mut self, latency: Duration) {
        self.answers = self.answers.saturating_add(1);
        self.latencies = self.latencies.saturating_add(latency);
    }

    /// Whether there is enough to look at.
    pub fn is_over(&self, limit: u32, now: Duration) -> bool {
        self.answers >= limit.max(ANSWERS_MIN) && now.saturating_sub(self.began) >= LASTS_MIN
    }

    /// Whether there is enough to be sure.
    pub fn is_sure(&self, limit: u32) -> bool {
        self.answers >= limit.max(SURE)
    }

    /// Whether about as many requests were in flight as the limit allows: else it says nothing about that limit.
    pub fn is_used(&self, limit: u32) -> bool {
        let lasted = self.seen_at.saturating_sub(self.began);
        self.time_in_flight.saturating_mul(4) >= lasted.saturating_mul(limit).saturating_mul(3)
    }

    /// How long an answer took.
    pub fn mean(&self) -> Duration {
        self.latencies / self.answers.max(1)
    }
}
