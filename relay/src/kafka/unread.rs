//! The oldest records that a group has not read yet, looked up without a place in it. Nothing is committed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Message as _, Offset, TopicPartitionList};
use relay_core::names::Partition;
use relay_core::settings::{Destination, Start};
use relay_core::time::Timestamp;

use super::topics::TopicsOf;
use crate::config::Kafka;

/// The longest wait for one answer of the brokers.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest reading: records that were to be there may have gone meanwhile.
const READING_MAX: Duration = Duration::from_secs(30);

const POLL: Duration = Duration::from_millis(100);

/// The time of the oldest record that waits in each partition where one is older than the moment beside it; of those without
/// a moment nothing is told. These must be all partitions of the destination, or more: a group with an offset in any of them reads
/// the others from their beginning.
///
/// # Errors
///
/// When the brokers do not answer in time.
pub fn unread_before(
    kafka: &Kafka,
    destination: &Destination,
    mut partitions: BTreeMap<Partition, Option<Timestamp>>,
) -> Result<BTreeMap<Partition, Timestamp>, KafkaError> {
    let mut client = kafka.client();
    client
        // Never joined.
        .set("group.id", kafka.group(&destination.name))
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        // The first record of each is enough.
        .set("queued.min.messages", "1");
    let consumer: BaseConsumer = client.create()?;
    let topics = TopicsOf::new(kafka, destination);
    partitions.retain(|partition, _| topics.has(&partition.topic));
    let committed = committed(&consumer, partitions.keys())?;
    if committed.is_empty() && destination.start == Start::Latest {
        return Ok(BTreeMap::new());
    }
    let old = begin_before(&consumer, &partitions, &committed)?;
    first_records(&consumer, &old)
}

fn committed<'a>(
    consumer: &BaseConsumer,
    partitions: impl Iterator<Item = &'a Partition>,
) -> Result<BTreeMap<Partition, i64>, KafkaError> {
    let mut asked = TopicPartitionList::new();
    for partition in partitions {
        asked.add_partition(&partition.topic, partition.number);
    }
    Ok(offsets(&consumer.committed_offsets(asked, ANSWER_TIMEOUT)?))
}

/// Where the group goes on in the partitions where what waits begins before the moment. A record's time is found by its index,
/// so that only those have to be read.
fn begin_before(
    consumer: &BaseConsumer,
    partitions: &BTreeMap<Partition, Option<Timestamp>>,
    committed: &BTreeMap<Partition, i64>,
) -> Result<TopicPartitionList, KafkaError> {
    let mut asked = TopicPartitionList::new();
    for (partition, moment) in partitions {
        let Some(moment) = moment else { continue };
        let millis = Offset::Offset(moment.as_millisecond().max(0));
        asked.add_partition_offset(&partition.topic, partition.number, millis)?;
    }
    let mut old = TopicPartitionList::new();
    if asked.count() == 0 {
        return Ok(old);
    }
    // None where no record is younger.
    let younger = offsets(&consumer.offsets_for_times(asked.clone(), ANSWER_TIMEOUT)?);
    for partition in asked.elements() {
        let (topic, number) = (partition.topic(), partition.partition());
        let partition = Partition {
            topic: topic.into(),
            number,
        };
        let (first, end) = consumer.fetch_watermarks(topic, number, ANSWER_TIMEOUT)?;
        let begin = committed.get(&partition).map_or(first, |at| first.max(*at));
        if begin < younger.get(&partition).map_or(end, |at| end.min(*at)) {
            old.add_partition_offset(topic, number, Offset::Offset(begin))?;
        }
    }
    Ok(old)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a command that waits for brokers, outside of the loop"
)]
fn first_records(
    consumer: &BaseConsumer,
    first: &TopicPartitionList,
) -> Result<BTreeMap<Partition, Timestamp>, KafkaError> {
    let mut found = BTreeMap::new();
    consumer.assign(first)?;
    let began = Instant::now();
    while found.len() < first.count() && began.elapsed() < READING_MAX {
        match consumer.poll(POLL) {
            None => {}
            Some(Ok(message)) => {
                let partition = Partition {
                    topic: message.topic().into(),
                    number: message.partition(),
                };
                let millis = message.timestamp().to_millis().unwrap_or_default();
                let time = Timestamp::from_millisecond(millis).unwrap_or_default();
                found.entry(partition).or_insert(time);
            }
            Some(Err(error)) => match error.rdkafka_error_code() {
                // It says so again and again until they answer.
                Some(
                    RDKafkaErrorCode::AllBrokersDown | RDKafkaErrorCode::BrokerTransportFailure,
                ) => {}
                _ => return Err(error),
            },
        }
    }
    Ok(found)
}

fn offsets(list: &TopicPartitionList) -> BTreeMap<Partition, i64> {
    let elements = list.elements();
    let known = elements.iter().filter_map(|element| {
        let Offset::Offset(offset) = element.offset() else {
            return None;
        };
        let partition = Partition {
            topic: element.topic().into(),
            number: element.partition(),
        };
        Some((partition, offset))
    });
    known.collect()
}
