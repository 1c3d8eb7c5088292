//! How a destination is doing, in the words that people see.

use std::sync::Arc;
use std::time::Duration;

use relay_core::engine::fetching::Hold;
use relay_core::engine::view::{BreakerView, View};
use relay_core::names::Partition;
use relay_core::settings::Destination;
use relay_core::time::{Now, Timestamp};
use tracing::error;

use crate::metrics::{HeldFor, Metrics};
use crate::status::{DestinationStatus, Expiring};
use crate::store::{ReplicaRow, ReplicaState};

/// How often the store is told.
const REPORT_INTERVAL: Duration = Duration::from_secs(2);

/// One destination's outlook.
pub struct Outlook {
    replica: String,
    settings: Arc<Destination>,
    metrics: Arc<Metrics>,
    report_at: Duration,
    looked_at: Option<Duration>,
    /// What was said last of versions that went back.
    went_back: Option<Arc<str>>,
}

impl Outlook {
    pub fn new(replica: String, settings: Arc<Destination>, metrics: Arc<Metrics>) -> Self {
        Self {
            replica,
            settings,
            metrics,
            report_at: Duration::ZERO,
            looked_at: None,
            went_back: None,
        }
    }

    /// Takes other settings in.
    pub fn configure(&mut self, settings: Arc<Destination>) {
        self.settings = settings;
    }

    /// The status of an engine as it looks now; the time that it was held since the last look is counted.
    pub fn status(
        &mut self,
        view: &View,
        kafka_lag: Vec<(Partition, u64)>,
        expiring: Vec<Expiring>,
        now: Now,
    ) -> DestinationStatus {
        let since = self
            .looked_at
            .replace(now.monotonic)
            .map_or(Duration::ZERO, |last| now.monotonic.saturating_sub(last));
        if let Some(held) = held_for(view) {
            self.metrics
                .held(&self.settings.name, held, since.as_secs_f64());
        }
        let age = |timestamp: Option<Timestamp>| {
            timestamp.map_or(0.0, |timestamp| age_seconds(timestamp, now.wall))
        };
        self.metrics.offset_gap(
            &self.settings.name,
            i64::try_from(view.gap_records).unwrap_or(i64::MAX),
        );
        self.metrics
            .misplaced(&self.settings.name, view.misplaced.records);
        self.tell_of_versions(view.went_back.as_ref());
        let (state, held_reason) = state_of(view);
        DestinationStatus {
            state,
            held_reason,
            lag_seconds: age(view.oldest_open).max(age(view.oldest_parked)),
            lag_target: Some(self.settings.lag_target),
            kafka_lag_seconds: age(view.oldest_open),
            kafka_lag,
            expiring,
            in_flight: u32::try_from(view.in_flight).unwrap_or(u32::MAX),
            concurrency_limit: u32::try_from(view.concurrency_limit).unwrap_or(u32::MAX),
        }
    }

    /// Somebody must act: said once each time.
    fn tell_of_versions(&mut self, went_back: Option<&Arc<str>>) {
        if let Some(reason) = went_back.filter(|_| went_back != self.went_back.as_ref()) {
            error!(destination = &*self.settings.name, %reason, "held");
        }
        self.went_back = went_back.cloned();
    }

    /// Whether the store should be told now.
    pub fn is_report_due(&mut self, now: Duration) -> bool {
        let is_due = now >= self.report_at;
        if is_due {
            self.report_at = now + REPORT_INTERVAL;
        }
        is_due
    }

    /// What the store is told.
    pub fn row(&self, status: &DestinationStatus) -> ReplicaRow {
        ReplicaRow {
            replica: self.replica.clone(),
            destination: self.settings.name.clone(),
            state: status.state,
            held_reason: status.held_reason.clone(),
            lag_seconds: status.lag_seconds,
            in_flight: status.in_flight,
        }
    }
}

fn state_of(view: &View) -> (ReplicaState, Option<String>) {
    if let Some(words) = &view.paused {
        return (ReplicaState::Paused, Some(words.to_string()));
    }
    if let Some(words) = &view.went_back {
        return (ReplicaState::Held, Some(words.to_string()));
    }
    if let Some(words) = &view.refused {
        return (ReplicaState::Held, Some(words.to_string()));
    }
    match (&view.breaker, view.hold) {
        (Some(breaker), _) if !breaker.is_half_open => {
            (ReplicaState::Open, Some(words_of(breaker)))
        }
        (Some(breaker), _) => (ReplicaState::HalfOpen, Some(words_of(breaker))),
        (None, Some(hold)) => (ReplicaState::Held, Some(hold.as_str().to_owned())),
        (None, None) => (ReplicaState::Active, None),
    }
}

fn words_of(breaker: &BreakerView) -> String {
    let failure = breaker.last_failure.as_deref().unwrap_or("failures");
    if breaker.is_half_open {
        format!("{}: {failure}, probing", breaker.model)
    } else {
        let seconds = breaker.next_probe_in.as_secs() + 1;
        format!("{}: {failure}, next probe in {seconds} s", breaker.model)
    }
}

fn held_for(view: &View) -> Option<HeldFor> {
    if view.paused.is_some() {
        return Some(HeldFor::Paused);
    }
    if view.went_back.is_some() {
        return Some(HeldFor::VersionsBack);
    }
    if view.breaker.is_some() {
        return Some(HeldFor::Breaker);
    }
    match view.hold? {
        Hold::Paused => Some(HeldFor::Paused),
        Hold::VersionsBack => Some(HeldFor::VersionsBack),
        Hold::RetryAfter => Some(HeldFor::RetryAfter),
        Hold::RateLimit => Some(HeldFor::RateLimit),
        Hold::ParkedMax => Some(HeldFor::ParkedMax),
        Hold::Buffer => Some(HeldFor::Buffer),
        // A store that is down is the relay's own trouble, told by readiness.
        Hold::Store => None,
    }
}

fn age_seconds(timestamp: Timestamp, now: Timestamp) -> f64 {
    now.duration_since(timestamp).as_secs_f64().max(0.0)
}
