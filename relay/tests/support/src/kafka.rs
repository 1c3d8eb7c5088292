//! Topics, records on them, and how far a group has come.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::groups::GroupInfo;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaErrorCode;

use crate::record::Record;
use crate::services::services;
use crate::wait::block_on;

/// How long the broker may take for anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// Creates a topic, with settings such as `("max.message.bytes", "6000000")`.
pub fn create_topic(topic: &str, partitions: i32, settings: &[(&str, &str)]) {
    block_on(async || {
        let admin: AdminClient<DefaultClientContext> = client().create().unwrap();
        let wanted = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
        let wanted = settings
            .iter()
            .fold(wanted, |wanted, (name, value)| wanted.set(name, value));
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
        let created = admin.create_topics([&wanted], &options).await.unwrap();
        created.into_iter().next().unwrap().unwrap();
    });
}

/// Removes a topic with all its records.
pub fn delete_topic(topic: &str) {
    block_on(async || {
        let admin: AdminClient<DefaultClientContext> = client().create().unwrap();
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
        let deleted = admin.delete_topics(&[topic], &options).await.unwrap();
        deleted.into_iter().next().unwrap().unwrap();
    });
}

/// Gives a topic more partitions: so many in all.
pub fn add_partitions(topic: &str, partitions: i32) {
    block_on(async || {
        let admin: AdminClient<DefaultClientContext> = client().create().unwrap();
        let wanted = NewPartitions::new(topic, usize::try_from(partitions).unwrap());
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
        let created = admin.create_partitions([&wanted], &options).await.unwrap();
        created.into_iter().next().unwrap().unwrap();
    });
}

/// Gives a topic a setting.
pub fn configure_topic(topic: &str, name: &str, value: &str) {
    block_on(async || {
        let admin: AdminClient<DefaultClientContext> = client().create().unwrap();
        let wanted = AlterConfig::new(ResourceSpecifier::Topic(topic)).set(name, value);
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
        let altered = admin.alter_configs([&wanted], &options).await.unwrap();
        altered.into_iter().next().unwrap().unwrap();
    });
}

/// Removes what stands before an offset, as retention would.
pub fn delete_before(topic: &str, partition: i32, offset: i64) {
    block_on(async || {
        let admin: AdminClient<DefaultClientContext> = client().create().unwrap();
        let mut begin = TopicPartitionList::new();
        begin
            .add_partition_offset(topic, partition, Offset::Offset(offset))
            .unwrap();
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
        let deleted = admin.delete_records(&begin, &options).await.unwrap();
        deleted.elements()[0].error().unwrap();
    });
}

/// The offset after the last record, per partition.
pub fn end_offsets(topic: &str) -> BTreeMap<i32, i64> {
    let consumer: BaseConsumer = client().create().unwrap();
    let partitions = partitions(&consumer, topic);
    let end = |partition| {
        consumer
            .fetch_watermarks(topic, partition, PATIENCE)
            .unwrap()
            .1
    };
    partitions
        .into_iter()
        .map(|partition| (partition, end(partition)))
        .collect()
}

/// What a group has committed, per partition; partitions without a commit are left out.
pub fn committed_offsets(group: &str, topic: &str) -> BTreeMap<i32, i64> {
    let consumer: BaseConsumer = client().set("group.id", group).create().unwrap();
    let mut asked = TopicPartitionList::new();
    for partition in partitions(&consumer, topic) {
        asked.add_partition(topic, partition);
    }
    let committed = consumer.committed_offsets(asked, PATIENCE).unwrap();
    let offset = |offset| match offset {
        Offset::Offset(offset) => Some(offset),
        _ => None,
    };
    let elements = committed.elements();
    elements
        .iter()
        .filter_map(|e| Some((e.partition(), offset(e.offset())?)))
        .collect()
}

/// Whether some members of a group have joined anew, and others are waited for.
pub fn is_rebalancing(group: &str) -> bool {
    let consumer: BaseConsumer = client().create().unwrap();
    let groups = consumer.fetch_group_list(Some(group), PATIENCE).unwrap();
    let mut states = groups.groups().iter().map(GroupInfo::state);
    states.any(|state| state == "PreparingRebalance")
}

fn partitions(consumer: &BaseConsumer, topic: &str) -> Vec<i32> {
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).unwrap();
    metadata.topics()[0]
        .partitions()
        .iter()
        .map(rdkafka::metadata::MetadataPartition::id)
        .collect()
}

fn client() -> ClientConfig {
    client_of(&services().brokers)
}

fn client_of(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    config
}

/// Publishes as the gem does: murmur2, idempotent, schema headers.
pub struct Producer {
    producer: BaseProducer,
}

impl Producer {
    /// To the running services.
    pub fn new() -> Self {
        Self::to(&services().brokers)
    }

    pub fn to(brokers: &str) -> Self {
        let producer = client_of(brokers)
            .set("enable.idempotence", "true")
            .set("partitioner", "murmur2")
            .set("linger.ms", "5")
            .set("queue.buffering.max.messages", "200000")
            .set("message.max.bytes", "8000000")
            .create()
            .unwrap();
        Self { producer }
    }

    /// Publishes a record under its own key.
    pub fn send(&self, topic: &str, record: &Record) {
        let value = record.encode();
        self.push(keyed(topic, record, &value));
    }

    /// Publishes a record as if so much time had passed since.
    pub fn send_aged(&self, topic: &str, record: &Record, age: Duration) {
        let then = (SystemTime::now() - age)
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap();
        let value = record.encode();
        let record = keyed(topic, record, &value);
        self.push(record.timestamp(i64::try_from(then.as_millis()).unwrap()));
    }

    /// Publishes a record to a partition, whatever its key.
    pub fn send_to(&self, topic: &str, partition: i32, record: &Record) {
        let value = record.encode();
        self.push(keyed(topic, record, &value).partition(partition));
    }

    /// Publishes anything.
    pub fn send_raw(
        &self,
        topic: &str,
        key: Option<&str>,
        value: Option<&[u8]>,
        headers: OwnedHeaders,
    ) {
        let mut record = BaseRecord::<str, [u8]>::to(topic).headers(headers);
        record.key = key;
        record.payload = value;
        self.push(record);
    }

    fn push(&self, mut record: BaseRecord<'_, str, [u8]>) {
        while let Err((error, refused)) = self.producer.send(record) {
            assert!(is_queue_full(&error), "{}: {error}", refused.topic);
            self.producer.poll(Duration::from_millis(10));
            record = refused;
        }
    }

    /// Takes in what the broker has acknowledged, without waiting.
    pub fn poll(&self) {
        self.producer.poll(Duration::ZERO);
    }

    /// Waits until the broker has everything.
    ///
    /// # Panics
    ///
    /// When it does not take it within 30 seconds.
    pub fn flush(&self) {
        self.producer
            .flush(PATIENCE)
            .expect("the broker takes the records");
    }
}

impl Default for Producer {
    fn default() -> Self {
        Self::new()
    }
}

/// A record under its own key, with the headers that the gem gives it.
fn keyed<'a>(topic: &'a str, record: &'a Record, value: &'a [u8]) -> BaseRecord<'a, str, [u8]> {
    let headers = OwnedHeaders::new()
        .insert(Header {
            key: "content-type",
            value: Some("application/x-protobuf"),
        })
        .insert(Header {
            key: "schema-version",
            value: Some("1"),
        });
    BaseRecord::to(topic)
        .key(record.key())
        .payload(value)
        .headers(headers)
}

fn is_queue_full(error: &KafkaError) -> bool {
    matches!(
        error,
        KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)
    )
}
