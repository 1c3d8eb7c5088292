//! What the topics hold, read as a consumer reads them, and how far the groups have come.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use prost::Message as _;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::{ClientConfig, Message};
use relay_core::proto;

use crate::eras::Partition;

const PATIENCE: Duration = Duration::from_secs(3);

/// A record that was committed to a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    pub destination: &'static str,
    pub partition: Partition,
    pub offset: i64,
    /// Source, model and key.
    pub key: String,
    pub version: u64,
    pub is_delete: bool,
}

/// All topics of the run, read from their beginning on.
pub struct Topics {
    brokers: String,
    /// For each destination a client that can ask for its group's offsets.
    groups: Vec<(&'static str, BaseConsumer)>,
    /// Whose topic it is.
    destinations: HashMap<String, &'static str>,
    partitions: i32,
    pub published: Vec<Published>,
    /// The next offset to be read of each partition.
    next: HashMap<Partition, i64>,
}

impl Topics {
    /// `destinations` by topic, `groups` by destination.
    pub fn new(
        brokers: &str,
        destinations: HashMap<String, &'static str>,
        groups: &[(&'static str, String)],
        partitions: i32,
    ) -> Self {
        let groups = groups.iter();
        Self {
            brokers: brokers.to_owned(),
            groups: groups
                .map(|(name, group)| (*name, client(brokers, group)))
                .collect(),
            destinations,
            partitions,
            published: vec![],
            next: HashMap::new(),
        }
    }

    /// Reads on until the end of every partition, as a client that begins anew: one that lived through the broker's crashes
    /// would have to be proved itself. False when that takes too long.
    ///
    /// # Errors
    /// While the broker is away.
    pub fn read_to_the_end(&mut self) -> Result<bool, KafkaError> {
        let tail = client(&self.brokers, "none");
        let mut ends = HashMap::new();
        let mut wanted = TopicPartitionList::new();
        for topic in self.destinations.keys() {
            for number in 0..self.partitions {
                let (_, end) = tail.fetch_watermarks(topic, number, PATIENCE)?;
                let partition = (topic.clone(), number);
                let next = self.next.get(&partition).copied().unwrap_or(0);
                if next < end {
                    wanted.add_partition_offset(topic, number, Offset::Offset(next))?;
                    ends.insert(partition, end);
                }
            }
        }
        tail.assign(&wanted)?;
        let deadline = Instant::now() + PATIENCE * 5;
        while !self.has_reached(&tail, &ends) {
            if Instant::now() > deadline {
                return Ok(false);
            }
            if let Some(Ok(message)) = tail.poll(Duration::from_millis(100)) {
                self.take(&message);
            }
        }
        Ok(true)
    }

    fn take(&mut self, message: &BorrowedMessage<'_>) {
        let published = published(message, self.destinations[message.topic()]);
        let next = self.next.entry(published.partition.clone()).or_insert(0);
        if published.offset >= *next {
            *next = published.offset + 1;
            self.published.push(published);
        }
    }

    /// Markers and aborted records are passed without being shown, so that the position says more than the last record.
    fn has_reached(&mut self, tail: &BaseConsumer, ends: &HashMap<Partition, i64>) -> bool {
        if let Ok(position) = tail.position() {
            for element in position.elements() {
                if let Offset::Offset(offset) = element.offset() {
                    let partition = (element.topic().to_owned(), element.partition());
                    let next = self.next.entry(partition).or_insert(0);
                    *next = offset.max(*next);
                }
            }
        }
        ends.iter()
            .all(|(partition, end)| self.next.get(partition).is_some_and(|next| next >= end))
    }

    /// The next offset that each partition's group would read.
    ///
    /// # Errors
    /// While the broker is away.
    pub fn committed(&self) -> Result<HashMap<Partition, i64>, KafkaError> {
        let mut all = HashMap::new();
        for (destination, client) in &self.groups {
            let mut asked = TopicPartitionList::new();
            let topics = self
                .destinations
                .iter()
                .filter(|(_, of)| *of == destination);
            for (topic, _) in topics {
                for number in 0..self.partitions {
                    asked.add_partition(topic, number);
                }
            }
            let committed = client.committed_offsets(asked, PATIENCE)?;
            for element in committed.elements() {
                if let Offset::Offset(offset) = element.offset() {
                    all.insert((element.topic().to_owned(), element.partition()), offset);
                }
            }
        }
        Ok(all)
    }

    /// Whether the groups have committed everything that can be read.
    pub fn are_done(&self, committed: &HashMap<Partition, i64>) -> bool {
        self.published.iter().all(|published| {
            committed
                .get(&published.partition)
                .is_some_and(|next| *next > published.offset)
        })
    }
}

fn client(brokers: &str, group: &str) -> BaseConsumer {
    ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("isolation.level", "read_committed")
        .set("auto.offset.reset", "earliest")
        .set("reconnect.backoff.max.ms", "500")
        .set_log_level(rdkafka::config::RDKafkaLogLevel::Emerg)
        .create()
        .unwrap()
}

fn published(message: &BorrowedMessage<'_>, destination: &'static str) -> Published {
    let record = proto::Record::decode(message.payload().unwrap()).unwrap();
    Published {
        destination,
        partition: (message.topic().to_owned(), message.partition()),
        offset: message.offset(),
        key: format!("{}/{}/{}", record.source, record.model, record.key),
        version: record.version,
        is_delete: record.operation() == proto::Operation::Delete,
    }
}
