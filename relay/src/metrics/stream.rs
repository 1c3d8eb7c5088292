//! The handles of a stream's hot path: a count is one atomic addition, without looking a label up.

use std::sync::OnceLock;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use relay_core::exchange::ErrorClass;
use relay_core::names::Operation;
use relay_core::rows::{Outcome, ParkedState};

use super::Metrics;
use super::labels::{AttemptLabels, DeliveryLabels, DestinationLabels, RecordLabels, StreamLabels};
use crate::store::DeliveryState;

const OPERATIONS: usize = 4;
const OUTCOMES: usize = Outcome::ALL.len();
const ERROR_CLASSES: usize = ErrorClass::ALL.len() + 1;

/// One for each outcome, and one for each place in the store.
const STATES: usize = OUTCOMES + 4;

/// Counters and histograms of one destination and model. A series begins to exist when it is first counted.
#[derive(Debug)]
pub struct StreamMetrics {
    destination: String,
    model: String,
    records_family: Family<RecordLabels, Counter>,
    attempts_family: Family<AttemptLabels, Counter>,
    deliveries_family: Family<DeliveryLabels, Counter>,
    records: [OnceLock<Counter>; OPERATIONS],
    attempts: [[OnceLock<Counter>; ERROR_CLASSES]; OUTCOMES],
    deliveries: [OnceLock<Counter>; STATES],
    attempt_duration: Histogram,
    delivery_latency: Histogram,
}

impl StreamMetrics {
    pub(super) fn new(metrics: &Metrics, destination: &str, model: &str) -> Self {
        let (destination, model) = (destination.to_owned(), model.to_owned());
        let attempt_duration = metrics
            .attempt_duration
            .get_or_create_owned(&DestinationLabels {
                destination: destination.clone(),
            });
        let delivery_latency = metrics.delivery_latency.get_or_create_owned(&StreamLabels {
            destination: destination.clone(),
            model: model.clone(),
        });
        Self {
            destination,
            model,
            records_family: metrics.records.clone(),
            attempts_family: metrics.attempts.clone(),
            deliveries_family: metrics.deliveries.clone(),
            records: [const { OnceLock::new() }; OPERATIONS],
            attempts: [const { [const { OnceLock::new() }; ERROR_CLASSES] }; OUTCOMES],
            deliveries: [const { OnceLock::new() }; STATES],
            attempt_duration,
            delivery_latency,
        }
    }

    /// Counts a record read from Kafka.
    pub fn record(&self, operation: Operation) {
        let position = match operation {
            Operation::Create => 0,
            Operation::Update => 1,
            Operation::Delete => 2,
            Operation::Snapshot => 3,
        };
        self.records[position]
            .get_or_init(|| {
                self.records_family.get_or_create_owned(&RecordLabels {
                    destination: self.destination.clone(),
                    model: self.model.clone(),
                    operation: operation.as_str(),
                })
            })
            .inc();
    }

    /// Counts a request, and how long the exchange took.
    pub fn attempt(&self, outcome: Outcome, class: Option<ErrorClass>, seconds: f64) {
        let row = position(&Outcome::ALL, &outcome);
        let column = class.map_or(0, |class| 1 + position(&ErrorClass::ALL, &class));
        self.attempts[row][column]
            .get_or_init(|| {
                self.attempts_family.get_or_create_owned(&AttemptLabels {
                    destination: self.destination.clone(),
                    model: self.model.clone(),
                    outcome: outcome.as_str(),
                    error_class: class.map_or("", ErrorClass::as_str),
                })
            })
            .inc();
        self.attempt_duration.observe(seconds);
    }

    /// Counts a delivery that reached a state. What is still in flight has reached none.
    pub fn delivery(&self, state: DeliveryState) {
        let position = match state {
            DeliveryState::InFlight => return,
            DeliveryState::Ended(outcome) => position(&Outcome::ALL, &outcome),
            DeliveryState::Undelivered(ParkedState::Parked { .. }) => OUTCOMES,
            DeliveryState::Undelivered(ParkedState::Exhausted) => OUTCOMES + 1,
            DeliveryState::Undelivered(ParkedState::Rejected) => OUTCOMES + 2,
            DeliveryState::Undelivered(ParkedState::Quarantined) => OUTCOMES + 3,
        };
        self.deliveries[position]
            .get_or_init(|| {
                self.deliveries_family.get_or_create_owned(&DeliveryLabels {
                    destination: self.destination.clone(),
                    model: self.model.clone(),
                    state: state.as_str(),
                })
            })
            .inc();
    }

    /// Notes the time from the source's commit to the acknowledgement.
    pub fn latency(&self, seconds: f64) {
        self.delivery_latency.observe(seconds.max(0.0));
    }
}

fn position<T: PartialEq, const N: usize>(all: &[T; N], one: &T) -> usize {
    all.iter().position(|other| other == one).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_found_under_its_labels() {
        let metrics = Metrics::new("0.1.0", "abc1234");
        let vehicles = metrics.stream("billing", "Vehicle");
        vehicles.record(Operation::Update);
        vehicles.record(Operation::Update);
        vehicles.attempt(Outcome::Delivered, None, 0.002);
        vehicles.attempt(Outcome::Retryable, Some(ErrorClass::Http5xx), 0.002);
        vehicles.delivery(DeliveryState::Ended(Outcome::Delivered));
        vehicles.delivery(DeliveryState::Undelivered(ParkedState::Exhausted));
        vehicles.delivery(DeliveryState::InFlight);
        vehicles.latency(-1.0);
        let text = metrics.encode().unwrap();
        for line in [
            r#"replicates_relay_records_total{destination="billing",model="Vehicle",operation="update"} 2"#,
            r#"replicates_relay_attempts_total{destination="billing",model="Vehicle",outcome="delivered",error_class=""} 1"#,
            r#"replicates_relay_attempts_total{destination="billing",model="Vehicle",outcome="retryable",error_class="http_5xx"} 1"#,
            r#"replicates_relay_deliveries_total{destination="billing",model="Vehicle",state="delivered"} 1"#,
            r#"replicates_relay_attempt_duration_seconds_count{destination="billing"} 2"#,
            r#"replicates_relay_delivery_latency_seconds_count{destination="billing",model="Vehicle"} 1"#,
            r#"replicates_relay_build_info{version="0.1.0",revision="abc1234"} 1"#,
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        assert!(text.contains(r#"state="exhausted"} 1"#), "{text}");
        assert!(!text.contains("in_flight\""), "{text}");
    }

    #[test]
    fn two_handles_of_a_stream_count_together() {
        let metrics = Metrics::new("0.1.0", "abc1234");
        metrics
            .stream("billing", "Vehicle")
            .delivery(DeliveryState::Ended(Outcome::Stale));
        metrics
            .stream("billing", "Vehicle")
            .delivery(DeliveryState::Ended(Outcome::Stale));
        let text = metrics.encode().unwrap();
        assert!(
            text.contains(r#"model="Vehicle",state="stale"} 2"#),
            "{text}"
        );
    }
}
