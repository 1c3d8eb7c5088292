//! One destination's consumer.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers};
use rdkafka::{Message, Offset, TopicPartitionList};
use relay_core::engine::KafkaRecord;
use relay_core::names::{Coordinates, Partition};
use relay_core::settings::{Destination, Start};
use relay_core::time::Timestamp;
use tokio::sync::Notify;
use tracing::{debug, warn};

use super::KafkaFailure;
use super::client::client;
use super::group::{Change, Group};
use super::start;
use super::topics::{TopicsOf, pattern};
use crate::config::Kafka;

/// Records of one burst: between bursts requests leave and answers are taken in.
const BURST_MAX: usize = 500;

/// How often the last offsets are committed once more.
const COMMIT_AGAIN_INTERVAL: Duration = Duration::from_secs(5);

/// What came from Kafka.
#[derive(Debug)]
pub enum Arrival {
    Record(KafkaRecord),
    Assigned(Vec<Partition>),
    Revoked(Vec<Partition>),
    Lost(Vec<Partition>),
    /// The group gave the partitions away because nothing was polled for too long.
    DeadlinePassed,
}

/// The consumer group member of a destination.
pub struct Consumer {
    inner: BaseConsumer<Group>,
    group: String,
    name: String,
    pattern: String,
    topics_of: TopicsOf,
    start: Option<Start>,
    topics: HashMap<String, Arc<str>>,
    /// Revoked partitions, until all of them are drained.
    leaving: Vec<Partition>,
    undrained: HashSet<Partition>,
    /// The last offset of each partition that was to be committed.
    attempted: HashMap<Partition, i64>,
    commit_again_at: Duration,
}

impl Consumer {
    /// A consumer that is not subscribed yet. `bell` rings when there is something to poll.
    ///
    /// # Errors
    /// [`KafkaFailure::Creation`] when librdkafka refuses the configuration.
    pub fn new(
        kafka: &Kafka,
        destination: &Destination,
        replica: &str,
        bell: &Arc<Notify>,
    ) -> Result<Self, KafkaFailure> {
        let group = kafka.group(&destination.name);
        let context = Group::new(group.clone(), bell.clone());
        let mut inner: BaseConsumer<Group> = client(kafka, &group, replica)
            .create_with_context(context)
            .map_err(|source| KafkaFailure::Creation {
                group: group.clone(),
                source: Box::new(source),
            })?;
        let bell = bell.clone();
        inner.set_nonempty_callback(move || bell.notify_one());
        Ok(Self {
            inner,
            group,
            name: replica.to_owned(),
            pattern: pattern(&kafka.topic_prefix, destination),
            topics_of: TopicsOf::new(kafka, destination),
            start: Some(destination.start),
            topics: HashMap::new(),
            leaving: vec![],
            undrained: HashSet::new(),
            attempted: HashMap::new(),
            commit_again_at: Duration::ZERO,
        })
    }

    /// Another member of the same name, which is not subscribed yet. It may subscribe once this one is closed.
    ///
    /// # Errors
    /// [`KafkaFailure::Creation`] when librdkafka refuses the configuration.
    pub fn anew(&self, kafka: &Kafka, destination: &Destination) -> Result<Self, KafkaFailure> {
        let bell = self.inner.context().bell();
        Self::new(kafka, destination, &self.name, bell)
    }

    /// Takes other settings in. Topics that are the destination's no more are given up by way of a rebalance.
    ///
    /// # Errors
    /// [`KafkaFailure::Subscription`] when librdkafka refuses the pattern.
    pub fn configure(
        &mut self,
        kafka: &Kafka,
        destination: &Destination,
    ) -> Result<(), KafkaFailure> {
        let pattern = pattern(&kafka.topic_prefix, destination);
        let is_other = pattern != self.pattern;
        self.pattern = pattern;
        self.topics_of = TopicsOf::new(kafka, destination);
        match &mut self.start {
            Some(start) => *start = destination.start,
            None if is_other => self.subscribe_to_pattern()?,
            None => {}
        }
        Ok(())
    }

    pub fn group(&self) -> &str {
        &self.group
    }

    pub fn is_subscribed(&self) -> bool {
        self.start.is_none()
    }

    /// Joins the group. False when a group that begins at the end could not be placed there yet: to be tried again.
    ///
    /// # Errors
    /// [`KafkaFailure::Subscription`] when librdkafka refuses the pattern.
    pub fn subscribe(&mut self) -> Result<bool, KafkaFailure> {
        if self.start == Some(Start::Latest)
            && let Err(error) = start::at_the_end(&self.inner, |topic| self.topics_of.has(topic))
        {
            warn!(group = self.group, %error, "cannot find the end of the topics yet");
            return Ok(false);
        }
        self.subscribe_to_pattern()?;
        self.start = None;
        Ok(true)
    }

    fn subscribe_to_pattern(&self) -> Result<(), KafkaFailure> {
        self.inner
            .subscribe(&[&self.pattern])
            .map_err(|source| KafkaFailure::Subscription {
                group: self.group.clone(),
                pattern: self.pattern.clone(),
                source: Box::new(source),
            })
    }

    /// Takes what has come, up to a burst. True when more may wait.
    ///
    /// # Errors
    /// [`KafkaFailure::Fenced`] and [`KafkaFailure::Fatal`]: this consumer can do nothing any more.
    pub fn poll(&mut self, arrivals: &mut Vec<Arrival>) -> Result<bool, KafkaFailure> {
        // A callback served inside librdkafka looks like an empty queue: only the second time it is believed.
        let mut empty = 0;
        let mut records = 0;
        while empty < 2 && records < BURST_MAX {
            let polled = self.inner.poll(Duration::ZERO);
            let changes = self.inner.context().take_changes();
            let record = match polled {
                None => None,
                Some(Ok(message)) => Some(read_message(&message, &mut self.topics)),
                Some(Err(error)) => {
                    fail_or_log(&error, &self.group, &self.name, arrivals)?;
                    continue;
                }
            };
            for change in changes {
                self.take_change(change, arrivals);
            }
            match record {
                Some(record) => {
                    arrivals.push(Arrival::Record(record));
                    records += 1;
                    empty = 0;
                }
                None => empty += 1,
            }
        }
        Ok(records == BURST_MAX)
    }

    fn take_change(&mut self, change: Change, arrivals: &mut Vec<Arrival>) {
        arrivals.push(match change {
            Change::Assigned(partitions) => Arrival::Assigned(partitions),
            Change::Revoked(partitions) => {
                self.undrained.extend(partitions.iter().cloned());
                self.leaving.extend(partitions.iter().cloned());
                Arrival::Revoked(partitions)
            }
            Change::Lost(partitions) => {
                self.undrained.clear();
                self.leaving.clear();
                Arrival::Lost(partitions)
            }
        });
    }

    /// Commits offsets (the next to read) without waiting.
    pub fn commit(&mut self, offsets: &BTreeMap<Partition, i64>) {
        for (partition, offset) in offsets {
            self.attempted.insert(partition.clone(), *offset);
        }
        self.commit_as(offsets, CommitMode::Async);
    }

    /// Commits the last offsets of these partitions once more, every few seconds. The broker refuses a commit in the
    /// middle of a rebalance, and librdkafka tells nobody but its log: without a newer record the group would look behind
    /// for ever.
    pub fn commit_again(&mut self, owned: &[Partition], now: Duration) {
        if now < self.commit_again_at {
            return;
        }
        self.commit_again_at = now + COMMIT_AGAIN_INTERVAL;
        self.attempted
            .retain(|partition, _| owned.contains(partition));
        let offsets: BTreeMap<_, _> = self.attempted.clone().into_iter().collect();
        self.commit_as(&offsets, CommitMode::Async);
    }

    /// Commits offsets and waits for the broker: what is given up next must not be read again.
    pub fn commit_now(&self, offsets: &BTreeMap<Partition, i64>) {
        self.commit_as(offsets, CommitMode::Sync);
    }

    fn commit_as(&self, offsets: &BTreeMap<Partition, i64>, mode: CommitMode) {
        if offsets.is_empty() {
            return;
        }
        let mut list = TopicPartitionList::new();
        for (partition, offset) in offsets {
            // Only offsets below zero are refused.
            if let Err(error) = list.add_partition_offset(
                &partition.topic,
                partition.number,
                Offset::Offset(*offset),
            ) {
                warn!(group = self.group, %error, "cannot commit offset {offset} of {}", partition.topic);
            }
        }
        if let Err(error) = self.inner.commit(&list, mode) {
            // Nothing is lost: what is read again is superseded by the ledger.
            warn!(group = self.group, %error, "offsets could not be committed");
        }
    }

    pub fn pause(&self, partitions: &[Partition]) {
        if let Err(error) = self.inner.pause(&list_of(partitions)) {
            warn!(group = self.group, %error, "cannot pause partitions");
        }
    }

    pub fn resume(&self, partitions: &[Partition]) {
        if let Err(error) = self.inner.resume(&list_of(partitions)) {
            warn!(group = self.group, %error, "cannot resume partitions");
        }
    }

    /// A revoked partition is drained. The last one of a rebalance gives all of them up.
    pub fn release(&mut self, partition: &Partition) {
        let was_waited_for = self.undrained.remove(partition);
        if !was_waited_for || !self.undrained.is_empty() {
            return;
        }
        let leaving = std::mem::take(&mut self.leaving);
        if let Err(error) = self.inner.incremental_unassign(&list_of(&leaving)) {
            warn!(group = self.group, %error, "cannot give up partitions");
        }
    }

    /// None while a broker answers, else what is wrong.
    pub fn problem(&self) -> Option<String> {
        self.inner.context().health().problem.clone()
    }

    /// Records behind the end of each partition that this replica reads, as librdkafka counted last.
    pub fn lag(&self) -> Vec<(Partition, u64)> {
        let health = self.inner.context().health();
        let of = |((topic, number), lag): (&(String, i32), &u64)| {
            let topic = self
                .topics
                .get(topic)
                .cloned()
                .unwrap_or_else(|| topic.as_str().into());
            (
                Partition {
                    topic,
                    number: *number,
                },
                *lag,
            )
        };
        health.lag.iter().map(of).collect()
    }

    /// Leaves the group, and returns when that is done. A static member stays in the group until its session ends, and takes
    /// its partitions again when it returns before.
    pub fn close(self) {
        drop(self);
    }
}

/// librdkafka closes, and polls until every partition has been given up. Also of a consumer that goes because another one
/// failed: nobody drains any more, and who waits for a drain would wait for ever.
impl Drop for Consumer {
    fn drop(&mut self) {
        self.inner.context().close();
        let leaving = std::mem::take(&mut self.leaving);
        if !leaving.is_empty()
            && let Err(error) = self.inner.incremental_unassign(&list_of(&leaving))
        {
            warn!(group = self.group, %error, "cannot give up partitions");
        }
    }
}

pub(super) fn read_message(
    message: &BorrowedMessage<'_>,
    topics: &mut HashMap<String, Arc<str>>,
) -> KafkaRecord {
    let topic = if let Some(topic) = topics.get(message.topic()) {
        topic.clone()
    } else {
        let topic: Arc<str> = message.topic().into();
        topics.insert(message.topic().to_owned(), topic.clone());
        topic
    };
    let header = |name: &str| {
        let found = message
            .headers()?
            .iter()
            .find(|header| header.key == name)?;
        found.value.map(<[u8]>::to_vec)
    };
    let millis = message.timestamp().to_millis().unwrap_or_default();
    KafkaRecord {
        coordinates: Coordinates {
            topic,
            partition: message.partition(),
            offset: message.offset(),
        },
        timestamp: Timestamp::from_millisecond(millis).unwrap_or_default(),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        schema_version: header("schema-version"),
        traceparent: header("traceparent"),
    }
}

fn fail_or_log(
    error: &KafkaError,
    group: &str,
    name: &str,
    arrivals: &mut Vec<Arrival>,
) -> Result<(), KafkaFailure> {
    let code = error.rdkafka_error_code();
    if let KafkaError::MessageConsumptionFatal(_) = error {
        return Err(match code {
            Some(RDKafkaErrorCode::FencedInstanceId) => KafkaFailure::Fenced {
                name: name.to_owned(),
                group: group.to_owned(),
            },
            _ => KafkaFailure::Fatal {
                group: group.to_owned(),
                source: Box::new(error.clone()),
            },
        });
    }
    match code {
        Some(RDKafkaErrorCode::PollExceeded) => arrivals.push(Arrival::DeadlinePassed),
        // A pattern that matches no topic yet.
        Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
            debug!(group, %error, "no topic matches yet");
        }
        _ => warn!(group, %error, "kafka"),
    }
    Ok(())
}

fn list_of(partitions: &[Partition]) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for partition in partitions {
        list.add_partition(&partition.topic, partition.number);
    }
    list
}
