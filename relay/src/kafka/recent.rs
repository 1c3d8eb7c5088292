//! The last records of some topics, read without a place in any group.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::{MetadataPartition, MetadataTopic};
use rdkafka::{Offset, TopicPartitionList};
use relay_core::engine::KafkaRecord;

use super::consumer::read_message;
use crate::config::Kafka;

/// The longest wait for one answer of the brokers.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest reading of a topic: records that were to be there may have gone meanwhile.
const READING_MAX: Duration = Duration::from_secs(30);

const POLL: Duration = Duration::from_millis(100);

/// Why there are none.
#[derive(Debug, thiserror::Error)]
pub enum RecentFailure {
    #[error("cannot read from kafka at {brokers}: {source}")]
    Kafka { brokers: String, source: KafkaError },
    #[error("the last records of {topic} took longer than {READING_MAX:?} to read")]
    TimedOut { topic: String },
}

/// The last records of the topics that are wanted, at most `count` of each partition. Nothing is committed.
///
/// # Errors
///
/// When the brokers do not answer in time.
#[expect(
    clippy::disallowed_methods,
    reason = "a command that waits for brokers, outside of the loop"
)]
pub fn recent(
    kafka: &Kafka,
    is_wanted: impl Fn(&str) -> bool,
    count: usize,
) -> Result<Vec<KafkaRecord>, RecentFailure> {
    let failed = |source| RecentFailure::Kafka {
        brokers: kafka.brokers.join(","),
        source,
    };
    let mut client = kafka.client();
    client
        // Never joined; librdkafka wants a name.
        .set("group.id", kafka.group("plan"))
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "earliest");
    let consumer: BaseConsumer = client.create().map_err(failed)?;
    let metadata = consumer
        .fetch_metadata(None, ANSWER_TIMEOUT)
        .map_err(failed)?;
    let wanted = metadata.topics().iter();
    let wanted = wanted.filter(|topic| is_wanted(topic.name()));
    let mut names = HashMap::new();
    let mut records = vec![];
    // One by one: whose end was reached is told by the number of a partition alone.
    for topic in wanted {
        let tails = tails(&consumer, topic, count).map_err(failed)?;
        consumer.assign(&tails).map_err(failed)?;
        let mut open: BTreeSet<i32> = topic
            .partitions()
            .iter()
            .map(MetadataPartition::id)
            .collect();
        let began = Instant::now();
        while !open.is_empty() {
            if began.elapsed() > READING_MAX {
                let topic = topic.name().to_owned();
                return Err(RecentFailure::TimedOut { topic });
            }
            match consumer.poll(POLL) {
                None => {}
                Some(Ok(message)) => records.push(read_message(&message, &mut names)),
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    open.remove(&partition);
                }
                Some(Err(error)) => match error.rdkafka_error_code() {
                    // It says so again and again until they answer.
                    Some(
                        RDKafkaErrorCode::AllBrokersDown | RDKafkaErrorCode::BrokerTransportFailure,
                    ) => {}
                    _ => return Err(failed(error)),
                },
            }
        }
    }
    Ok(records)
}

/// Where the last records of each partition begin.
fn tails(
    consumer: &BaseConsumer,
    topic: &MetadataTopic,
    count: usize,
) -> Result<TopicPartitionList, KafkaError> {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let mut tails = TopicPartitionList::new();
    for partition in topic.partitions() {
        let (first, end) =
            consumer.fetch_watermarks(topic.name(), partition.id(), ANSWER_TIMEOUT)?;
        let begin = end.saturating_sub(count).max(first);
        tails.add_partition_offset(topic.name(), partition.id(), Offset::Offset(begin))?;
    }
    Ok(tails)
}
