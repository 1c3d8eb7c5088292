//! Prometheus metrics, named `replicates_relay_…`. Labels never hold keys.
//!
//! - [`labels`]: the label sets
//! - `described`: what each is called, and says
//! - [`stream`]: handles of the hot path, resolved once per destination and model
//!
//! Gauges of the state are filled from [`Status`](crate::status::Status) when they are asked for.

mod described;
mod labels;
mod stream;

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use relay_core::rows::Outcome;
use relay_core::time::Timestamp;

use crate::status::DestinationStatus;
use crate::store::{Counts, Partitions, ReplicaState, Upkeep};
use labels::{
    AttemptLabels, Build, DeliveryLabels, DestinationLabels, HeldLabels, OutcomeLabels,
    PartitionLabels, RecordLabels, StateLabels, StreamLabels,
};

pub use stream::StreamMetrics;

/// From a request on this machine to the longest `timeout` there is.
const DURATION_BUCKETS: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 300.0,
];

/// From the commit to the consumer: milliseconds while all is well, hours after an outage.
const LATENCY_BUCKETS: [f64; 14] = [
    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 300.0, 3_600.0, 21_600.0, 86_400.0,
];

/// As [`Counts`] has them.
const UNDELIVERED_STATES: [&str; 4] = ["parked", "exhausted", "rejected", "quarantined"];

type Seconds = Gauge<f64, AtomicU64>;
type SecondsTotal = Counter<f64, AtomicU64>;
type HistogramFamily<L> = Family<L, Histogram, fn() -> Histogram>;

/// Why a destination was held, in `held_seconds_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeldFor {
    Paused,
    /// Versions of a source went back.
    VersionsBack,
    Breaker,
    RetryAfter,
    RateLimit,
    ParkedMax,
    Buffer,
}

impl HeldFor {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Paused => "paused",
            Self::VersionsBack => "versions_back",
            Self::Breaker => "breaker",
            Self::RetryAfter => "retry_after",
            Self::RateLimit => "rate_limit",
            Self::ParkedMax => "parked_max",
            Self::Buffer => "buffer",
        }
    }
}

/// All metrics of the process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    records: Family<RecordLabels, Counter>,
    attempts: Family<AttemptLabels, Counter>,
    deliveries: Family<DeliveryLabels, Counter>,
    attempt_duration: HistogramFamily<DestinationLabels>,
    delivery_latency: HistogramFamily<StreamLabels>,
    lag: Family<DestinationLabels, Seconds>,
    lag_target: Family<DestinationLabels, Seconds>,
    kafka_lag: Family<DestinationLabels, Seconds>,
    kafka_lag_records: Family<PartitionLabels, Gauge>,
    undelivered: Family<StateLabels, Gauge>,
    in_flight: Family<DestinationLabels, Gauge>,
    concurrency_limit: Family<DestinationLabels, Gauge>,
    breaker_open: Family<DestinationLabels, Gauge>,
    held: Family<HeldLabels, SecondsTotal>,
    offset_gap: Family<DestinationLabels, Gauge>,
    misplaced: Family<DestinationLabels, Gauge>,
    log_rows: Family<OutcomeLabels, Counter>,
    log_flush_duration: Histogram,
    log_partitions_ahead: Gauge,
    log_partitions_dropped: Counter,
    config_reload_success: Gauge,
    config_reload_timestamp: Seconds,
}

impl Metrics {
    /// An empty set, and which build it is of.
    pub fn new(version: &str, revision: &str) -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("replicates_relay"),
            records: Family::default(),
            attempts: Family::default(),
            deliveries: Family::default(),
            attempt_duration: Family::new_with_constructor(duration_histogram),
            delivery_latency: Family::new_with_constructor(latency_histogram),
            lag: Family::default(),
            lag_target: Family::default(),
            kafka_lag: Family::default(),
            kafka_lag_records: Family::default(),
            undelivered: Family::default(),
            in_flight: Family::default(),
            concurrency_limit: Family::default(),
            breaker_open: Family::default(),
            held: Family::default(),
            offset_gap: Family::default(),
            misplaced: Family::default(),
            log_rows: Family::default(),
            log_flush_duration: duration_histogram(),
            log_partitions_ahead: Gauge::default(),
            log_partitions_dropped: Counter::default(),
            config_reload_success: Gauge::default(),
            config_reload_timestamp: Seconds::default(),
        };
        metrics.register();
        let build = Info::new(Build {
            version: version.to_owned(),
            revision: revision.to_owned(),
        });
        metrics.registry.register("build", "This binary", build);
        metrics
    }

    /// The handles of a stream's hot path. Resolve once, keep.
    pub fn stream(&self, destination: &str, model: &str) -> StreamMetrics {
        StreamMetrics::new(self, destination, model)
    }

    /// Notes how long a destination was held.
    pub fn held(&self, destination: &str, reason: HeldFor, seconds: f64) {
        let labels = HeldLabels {
            destination: destination.to_owned(),
            reason: reason.as_str(),
        };
        self.held.get_or_create(&labels).inc_by(seconds.max(0.0));
    }

    /// Notes how many records had expired before they were read, at most, since this process began.
    pub fn offset_gap(&self, destination: &str, records: i64) {
        self.offset_gap
            .get_or_create(&destination_labels(destination))
            .set(records);
    }

    /// Notes how many records were read from another partition than that of their key, since this process began.
    pub fn misplaced(&self, destination: &str, records: u64) {
        self.misplaced
            .get_or_create(&destination_labels(destination))
            .set(saturating(records));
    }

    /// Notes rows of the log that became durable.
    pub fn log_rows(&self, outcome: Outcome, rows: u64) {
        let labels = OutcomeLabels {
            outcome: outcome.as_str(),
        };
        self.log_rows.get_or_create(&labels).inc_by(rows);
    }

    /// Notes how long a batch took to become durable.
    pub fn log_flushed(&self, seconds: f64) {
        self.log_flush_duration.observe(seconds);
    }

    /// Notes what a round of upkeep did.
    pub fn upkeep(&self, upkeep: &Upkeep) {
        self.log_partitions_dropped
            .inc_by(u64::from(upkeep.dropped));
        self.partitions(upkeep.partitions);
    }

    fn partitions(&self, partitions: Partitions) {
        self.log_partitions_ahead.set(i64::from(partitions.ahead));
    }

    /// Fills the gauges of a destination.
    pub fn destination(&self, name: &str, status: &DestinationStatus) {
        let labels = destination_labels(name);
        self.lag.get_or_create(&labels).set(status.lag_seconds);
        if let Some(target) = status.lag_target {
            self.lag_target
                .get_or_create(&labels)
                .set(target.as_secs_f64());
        }
        self.kafka_lag
            .get_or_create(&labels)
            .set(status.kafka_lag_seconds);
        self.in_flight
            .get_or_create(&labels)
            .set(i64::from(status.in_flight));
        self.concurrency_limit
            .get_or_create(&labels)
            .set(i64::from(status.concurrency_limit));
        let is_open = matches!(status.state, ReplicaState::Open | ReplicaState::HalfOpen);
        self.breaker_open
            .get_or_create(&labels)
            .set(i64::from(is_open));
    }

    /// Replaces the lag of all partitions: one that was given up is no longer told.
    pub fn kafka_lag<'a>(
        &self,
        destinations: impl IntoIterator<Item = (&'a str, &'a DestinationStatus)>,
    ) {
        self.kafka_lag_records.clear();
        for (destination, status) in destinations {
            for (partition, records) in &status.kafka_lag {
                let labels = PartitionLabels {
                    destination: destination.to_owned(),
                    topic: partition.topic.to_string(),
                    partition: partition.number,
                };
                self.kafka_lag_records
                    .get_or_create(&labels)
                    .set(saturating(*records));
            }
        }
    }

    /// Fills the counts of a destination's undelivered records.
    pub fn undelivered(&self, destination: &str, counts: Counts) {
        let counts = [
            counts.parked,
            counts.exhausted,
            counts.rejected,
            counts.quarantined,
        ];
        for (state, count) in UNDELIVERED_STATES.into_iter().zip(counts) {
            let labels = StateLabels {
                destination: destination.to_owned(),
                state,
            };
            self.undelivered
                .get_or_create(&labels)
                .set(saturating(count));
        }
    }

    /// Tells nothing more of the state of a destination that is served no more.
    pub fn forget_destination(&self, name: &str) {
        let labels = destination_labels(name);
        for family in [&self.lag, &self.lag_target, &self.kafka_lag] {
            family.remove(&labels);
        }
        for family in [
            &self.in_flight,
            &self.concurrency_limit,
            &self.breaker_open,
            &self.offset_gap,
            &self.misplaced,
        ] {
            family.remove(&labels);
        }
        for state in UNDELIVERED_STATES {
            let destination = name.to_owned();
            self.undelivered.remove(&StateLabels { destination, state });
        }
    }

    /// Notes that a configuration holds from now on.
    pub fn config_holds(&self, since: Timestamp) {
        self.config_reload_success.set(1);
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of this age")]
        let seconds = since.as_millisecond() as f64 / 1_000.0;
        self.config_reload_timestamp.set(seconds);
    }

    /// Notes that a configuration was refused: the last one goes on holding.
    pub fn config_refused(&self) {
        self.config_reload_success.set(0);
    }

    /// The text that Prometheus reads (`OpenMetrics`).
    ///
    /// # Errors
    ///
    /// Never: writing to a string does not fail.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

fn duration_histogram() -> Histogram {
    Histogram::new(DURATION_BUCKETS)
}

fn latency_histogram() -> Histogram {
    Histogram::new(LATENCY_BUCKETS)
}

fn destination_labels(destination: &str) -> DestinationLabels {
    DestinationLabels {
        destination: destination.to_owned(),
    }
}

fn saturating(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
