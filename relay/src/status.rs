//! What the running relay says of itself: its loops write it, the admin API and the metrics read it.
//!
//! Nothing decides by it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use relay_core::names::Partition;
use relay_core::time::Now;

use crate::config::Config;
use crate::store::ReplicaState;

/// A loop that has been silent for so long no longer turns. Longer than any single wait of a loop.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// Shared by everything that runs. Clones are the same status.
#[derive(Debug, Clone)]
pub struct Status(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    destinations: Mutex<BTreeMap<Arc<str>, DestinationStatus>>,
    /// What `kafka` of the readiness is: none while it answers.
    kafka_problem: Mutex<Option<String>>,
    heartbeats: Mutex<Vec<(&'static str, Arc<AtomicU64>)>>,
    is_draining: AtomicBool,
}

/// How a destination is doing on this replica.
#[derive(Debug, Clone, PartialEq)]
pub struct DestinationStatus {
    pub state: ReplicaState,
    /// Why it sends nothing or little, in words: `connect refused, next probe in 12 s`. Holds no secrets.
    pub held_reason: Option<String>,
    /// Age of the oldest undelivered record that does not wait for a person.
    pub lag_seconds: f64,
    /// Above it the destination is late; none where nothing is configured.
    pub lag_target: Option<Duration>,
    /// Age of the record at the committed offset; 0 when all are read.
    pub kafka_lag_seconds: f64,
    /// Records between the committed offset and the end, of the partitions that this replica owns.
    pub kafka_lag: Vec<(Partition, u64)>,
    /// Partitions of this replica whose oldest unread record Kafka will soon delete.
    pub expiring: Vec<Expiring>,
    pub in_flight: u32,
    pub concurrency_limit: u32,
}

/// A partition whose oldest unread record has used up most of its time.
#[derive(Debug, Clone, PartialEq)]
pub struct Expiring {
    pub partition: Partition,
    pub age: Duration,
    /// Of the topic: an older record is deleted, read or not.
    pub retention: Duration,
}

impl DestinationStatus {
    /// Of a destination that has not begun.
    pub fn idle(state: ReplicaState, concurrency_limit: u32) -> Self {
        Self {
            state,
            held_reason: None,
            lag_seconds: 0.0,
            lag_target: None,
            kafka_lag_seconds: 0.0,
            kafka_lag: Vec::new(),
            expiring: Vec::new(),
            in_flight: 0,
            concurrency_limit,
        }
    }

    pub fn kafka_lag_records(&self) -> u64 {
        self.kafka_lag.iter().map(|(_, records)| records).sum()
    }
}

/// A loop's sign of life.
#[derive(Debug, Clone)]
pub struct Heartbeat(Arc<AtomicU64>);

impl Heartbeat {
    /// To be called at least every 30 s.
    pub fn beat(&self, now: Now) {
        self.0.store(millis(now), Ordering::Relaxed);
    }
}

impl Status {
    /// Names, states and request limits of the configured destinations.
    pub fn new(destinations: impl IntoIterator<Item = (Arc<str>, DestinationStatus)>) -> Self {
        Self(Arc::new(Shared {
            destinations: Mutex::new(destinations.into_iter().collect()),
            kafka_problem: Mutex::new(Some("not connected yet".to_owned())),
            heartbeats: Mutex::default(),
            is_draining: AtomicBool::new(false),
        }))
    }

    /// What a configuration says before anything runs.
    pub fn of_config(config: &Config) -> Self {
        Self::new(idle(config))
    }

    /// Forgets destinations that are configured no more, and knows those that are new.
    pub fn configure(&self, config: &Config) {
        let mut destinations = lock(&self.0.destinations);
        let known = std::mem::take(&mut *destinations);
        *destinations = idle(config)
            .map(|(name, idle)| {
                let was_served = |status: &&DestinationStatus| {
                    (status.state == ReplicaState::Disabled)
                        == (idle.state == ReplicaState::Disabled)
                };
                let status = known.get(&name).filter(was_served).cloned();
                (name, status.unwrap_or(idle))
            })
            .collect();
    }

    /// Replaces what is known of a destination. One that is not configured is not kept.
    pub fn set_destination(&self, name: &str, status: DestinationStatus) {
        if let Some(known) = lock(&self.0.destinations).get_mut(name) {
            *known = status;
        }
    }

    pub fn destination(&self, name: &str) -> Option<DestinationStatus> {
        lock(&self.0.destinations).get(name).cloned()
    }

    /// All configured destinations, by name.
    pub fn destinations(&self) -> Vec<(Arc<str>, DestinationStatus)> {
        lock(&self.0.destinations)
            .iter()
            .map(|(name, known)| (name.clone(), known.clone()))
            .collect()
    }

    /// Says whether Kafka answers: `None`, or what is wrong.
    pub fn set_kafka_problem(&self, problem: Option<String>) {
        *lock(&self.0.kafka_problem) = problem;
    }

    pub fn kafka_problem(&self) -> Option<String> {
        lock(&self.0.kafka_problem).clone()
    }

    /// Enters a loop, which from now on must beat.
    pub fn heartbeat(&self, name: &'static str, now: Now) -> Heartbeat {
        let beat = Arc::new(AtomicU64::new(millis(now)));
        lock(&self.0.heartbeats).push((name, beat.clone()));
        Heartbeat(beat)
    }

    /// Loops that no longer turn, and for how long they have been silent.
    pub fn silent_loops(&self, now: Now) -> Vec<(&'static str, Duration)> {
        lock(&self.0.heartbeats)
            .iter()
            .map(|(name, beat)| {
                let silence = millis(now).saturating_sub(beat.load(Ordering::Relaxed));
                (*name, Duration::from_millis(silence))
            })
            .filter(|(_, silence)| *silence > SILENCE_MAX)
            .collect()
    }

    /// From now on the relay is not ready: it finishes what it has.
    pub fn drain(&self) {
        self.0.is_draining.store(true, Ordering::Relaxed);
    }

    pub fn is_draining(&self) -> bool {
        self.0.is_draining.load(Ordering::Relaxed)
    }
}

/// The destinations of a configuration as they are before anything was delivered.
fn idle(config: &Config) -> impl Iterator<Item = (Arc<str>, DestinationStatus)> {
    let enabled = config.destinations.iter().map(|destination| {
        let limit = u32::try_from(destination.concurrency).unwrap_or(u32::MAX);
        let status = DestinationStatus {
            lag_target: Some(destination.lag_target),
            ..DestinationStatus::idle(ReplicaState::Active, limit)
        };
        (destination.name.clone(), status)
    });
    let disabled = config.disabled_destinations.iter().map(|name| {
        let status = DestinationStatus::idle(ReplicaState::Disabled, 0);
        (name.clone(), status)
    });
    enabled.chain(disabled)
}

fn millis(now: Now) -> u64 {
    u64::try_from(now.monotonic.as_millis()).unwrap_or(u64::MAX)
}

/// A snapshot is whole even when a writer panicked: it is replaced, never changed in parts.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Now {
        Now {
            monotonic: Duration::from_secs(seconds),
            wall: "2026-11-22T00:00:00Z".parse().unwrap(),
        }
    }

    fn billing() -> Status {
        let idle = DestinationStatus::idle(ReplicaState::Active, 64);
        Status::new([("billing".into(), idle)])
    }

    #[test]
    fn a_loop_that_stops_beating_is_named() {
        let status = billing();
        let consumer = status.heartbeat("consumer", at(0));
        let log = status.heartbeat("log", at(0));
        consumer.beat(at(60));
        log.beat(at(29));
        assert_eq!(
            status.silent_loops(at(60)),
            [("log", Duration::from_secs(31))]
        );
        log.beat(at(61));
        assert_eq!(status.silent_loops(at(62)), []);
    }

    #[test]
    fn clones_are_the_same_status() {
        let status = billing();
        let mut open = DestinationStatus::idle(ReplicaState::Open, 64);
        open.kafka_lag = [3, 4]
            .map(|records| {
                let topic = "replicates_to.monolith.billing.Vehicle".into();
                (Partition { topic, number: 0 }, records)
            })
            .into();
        status.clone().set_destination("billing", open.clone());
        status.clone().set_destination("unknown", open.clone());
        assert_eq!(status.destinations(), [("billing".into(), open)]);
        assert_eq!(
            status.destination("billing").unwrap().kafka_lag_records(),
            7
        );
        assert_eq!(status.destination("unknown"), None);
        status.clone().drain();
        assert!(status.is_draining());
    }

    #[test]
    fn kafka_is_a_problem_until_it_has_answered() {
        let status = billing();
        assert_eq!(status.kafka_problem().as_deref(), Some("not connected yet"));
        status.set_kafka_problem(None);
        assert_eq!(status.kafka_problem(), None);
    }
}
