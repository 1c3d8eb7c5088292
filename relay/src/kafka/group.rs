//! What librdkafka calls back: rebalances, errors, statistics. Everything happens on the thread that polls,
//! but for errors and statistics, which may come from any.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, Statistics, TopicPartitionList};
use relay_core::names::Partition;
use tokio::sync::Notify;
use tracing::{info, warn};

/// A change of the assignment.
#[derive(Debug)]
pub enum Change {
    Assigned(Vec<Partition>),
    /// To be drained, then given up.
    Revoked(Vec<Partition>),
    /// Gone already.
    Lost(Vec<Partition>),
}

/// The callbacks of one consumer.
#[derive(Debug)]
pub struct Group {
    name: String,
    /// Rung when something waits to be polled.
    bell: Arc<Notify>,
    changes: Mutex<Vec<Change>>,
    is_closing: AtomicBool,
    health: Mutex<Health>,
}

/// What is known of the brokers.
#[derive(Debug, Default)]
pub struct Health {
    /// None while a broker answers.
    pub problem: Option<String>,
    /// Records behind the end, by partition.
    pub lag: BTreeMap<(String, i32), u64>,
}

impl Group {
    pub fn new(name: String, bell: Arc<Notify>) -> Self {
        Self {
            name,
            bell,
            changes: Mutex::default(),
            is_closing: AtomicBool::new(false),
            health: Mutex::new(Health {
                problem: Some("no broker has answered yet".into()),
                lag: BTreeMap::new(),
            }),
        }
    }

    pub fn bell(&self) -> &Arc<Notify> {
        &self.bell
    }

    pub fn take_changes(&self) -> Vec<Change> {
        std::mem::take(&mut *lock(&self.changes))
    }

    /// From now on revoked partitions are given up at once.
    pub fn close(&self) {
        self.is_closing.store(true, Ordering::Relaxed);
    }

    pub fn health(&self) -> MutexGuard<'_, Health> {
        lock(&self.health)
    }

    fn assigned(&self, consumer: &BaseConsumer<Self>, list: &TopicPartitionList) {
        self.health().problem = None;
        let partitions = partitions_of(list);
        info!(group = self.name, partitions = ?Names(&partitions), "partitions assigned");
        if let Err(error) = consumer.incremental_assign(list) {
            warn!(group = self.name, %error, "cannot take assigned partitions");
            return;
        }
        // Nothing is fetched before the store has said what it knows.
        if let Err(error) = consumer.pause(list) {
            warn!(group = self.name, %error, "cannot pause assigned partitions");
        }
        lock(&self.changes).push(Change::Assigned(partitions));
    }

    fn revoked(&self, consumer: &BaseConsumer<Self>, list: &TopicPartitionList) {
        let partitions = partitions_of(list);
        let is_lost = consumer.assignment_lost();
        info!(group = self.name, partitions = ?Names(&partitions), is_lost, "partitions revoked");
        if is_lost || self.is_closing.load(Ordering::Relaxed) {
            if let Err(error) = consumer.incremental_unassign(list) {
                warn!(group = self.name, %error, "cannot give up partitions");
            }
            lock(&self.changes).push(Change::Lost(partitions));
        } else {
            lock(&self.changes).push(Change::Revoked(partitions));
        }
    }
}

impl ConsumerContext for Group {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        code: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        if code == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            self.assigned(consumer, list);
        } else {
            self.revoked(consumer, list);
        }
        self.bell.notify_one();
    }
}

impl ClientContext for Group {
    fn error(&self, error: KafkaError, reason: &str) {
        let code = error.rdkafka_error_code();
        if code == Some(RDKafkaErrorCode::AllBrokersDown) {
            self.health().problem = Some(reason.to_owned());
        }
        warn!(group = self.name, %error, reason, "kafka");
    }

    fn stats(&self, statistics: Statistics) {
        let is_up =
            |broker: &rdkafka::statistics::Broker| broker.nodeid >= 0 && broker.state == "UP";
        let mut health = self.health();
        if statistics.brokers.values().any(is_up) {
            health.problem = None;
        }
        health.lag.clear();
        for (topic, of_topic) in statistics.topics {
            for partition in of_topic.partitions.into_values() {
                if let Ok(lag) = u64::try_from(partition.consumer_lag) {
                    health.lag.insert((topic.clone(), partition.partition), lag);
                }
            }
        }
    }
}

fn partitions_of(list: &TopicPartitionList) -> Vec<Partition> {
    list.elements()
        .iter()
        .map(|element| Partition {
            topic: element.topic().into(),
            number: element.partition(),
        })
        .collect()
}

/// Partitions as people read them.
struct Names<'a>(&'a [Partition]);

impl std::fmt::Debug for Names<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self
            .0
            .iter()
            .map(|partition| format!("{}/{}", partition.topic, partition.number));
        f.debug_list().entries(names).finish()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
