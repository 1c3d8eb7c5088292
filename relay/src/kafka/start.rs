//! Where a group that never had offsets begins, when that is the end.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};

use super::group::Group;

/// The longest wait for one answer of the brokers: the loop of all destinations waits with it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// Places a group that has no offsets at the end of the partitions there are now. Topics and partitions that appear
/// later are read from their beginning, and a group with any offset is left as it is.
pub fn at_the_end(
    consumer: &BaseConsumer<Group>,
    is_mine: impl Fn(&str) -> bool,
) -> Result<(), KafkaError> {
    let partitions = matching_partitions(consumer, is_mine)?;
    if partitions.count() == 0 {
        return Ok(());
    }
    let committed = consumer.committed_offsets(partitions.clone(), ANSWER_TIMEOUT)?;
    let has_offset = |offset: Offset| matches!(offset, Offset::Offset(_));
    if committed
        .elements()
        .iter()
        .any(|element| has_offset(element.offset()))
    {
        return Ok(());
    }
    let mut ends = TopicPartitionList::new();
    for element in partitions.elements() {
        let (_, end) =
            consumer.fetch_watermarks(element.topic(), element.partition(), ANSWER_TIMEOUT)?;
        ends.add_partition_offset(element.topic(), element.partition(), Offset::Offset(end))?;
    }
    consumer.commit(&ends, CommitMode::Sync)
}

fn matching_partitions(
    consumer: &BaseConsumer<Group>,
    is_mine: impl Fn(&str) -> bool,
) -> Result<TopicPartitionList, KafkaError> {
    let metadata = consumer.fetch_metadata(None, ANSWER_TIMEOUT)?;
    let mut list = TopicPartitionList::new();
    for topic in metadata
        .topics()
        .iter()
        .filter(|topic| is_mine(topic.name()))
    {
        for partition in topic.partitions() {
            list.add_partition(topic.name(), partition.id());
        }
    }
    Ok(list)
}
