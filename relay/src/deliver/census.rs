//! How many partitions a destination's topics have, as the store is told of it; and what people are told of records that are not
//! where they belong.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use relay_core::engine::moving::Misplaced;
use relay_core::names::Stream;
use tracing::warn;

use crate::keeper::Task;

/// How often it is said that records are not in the partitions of their keys.
const INTERVAL: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub struct Census {
    /// What the store was told last.
    told: BTreeMap<Arc<str>, i32>,
    /// What it is yet to be told.
    news: BTreeMap<Arc<str>, i32>,
    /// Misplaced records of which was told, and when.
    misplaced: u64,
    said_at: Option<Duration>,
}

impl Census {
    pub fn note(&mut self, topics: &[(Arc<str>, i32)]) {
        for (topic, count) in topics.iter().filter(|(_, count)| *count > 0) {
            if self.told.get(topic) != Some(count) {
                self.told.insert(topic.clone(), *count);
                self.news.insert(topic.clone(), *count);
            }
        }
    }

    /// What the store should hear.
    pub fn take_news(&mut self, prefix: &str, destination: &str) -> Vec<Task> {
        let news = std::mem::take(&mut self.news).into_iter();
        let task = |(topic, count): (Arc<str>, i32)| {
            let stream = Stream::of_topic(&topic, prefix, destination)?.into();
            Some(Task::NotePartitions {
                topic,
                stream,
                count,
            })
        };
        news.filter_map(task).collect()
    }

    /// Says that records are not where they belong, if there are more of them.
    pub fn tell_of(&mut self, destination: &str, misplaced: &Misplaced, now: Duration) {
        let was_said = self
            .said_at
            .is_some_and(|at| now.saturating_sub(at) < INTERVAL);
        let Some((at, right)) = misplaced.last.as_ref().filter(|_| !was_said) else {
            return;
        };
        if misplaced.records == self.misplaced {
            return;
        }
        self.said_at = Some(now);
        self.misplaced = misplaced.records;
        warn!(
            destination,
            topic = &*at.topic,
            partition = at.partition,
            offset = at.offset,
            partition_of_its_key = right,
            records = misplaced.records,
            "records are not in the partitions of their keys: another partitioner than murmur2, or published before the topic got \
             more partitions; each is compared with the ledger and delivered, but may arrive after a newer one of its key"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: &str = "replicates_to.monolith.billing.Vehicle";

    #[test]
    fn the_store_is_told_of_each_count_once() {
        let mut census = Census::default();
        let mut told = |count| {
            census.note(&[(TOPIC.into(), count)]);
            let news = census.take_news("replicates_to.", "billing");
            let counts = news.into_iter().map(|task| match task {
                Task::NotePartitions { count, stream, .. } => {
                    assert_eq!(&*stream.model, "Vehicle");
                    count
                }
                other => panic!("{other:?}"),
            });
            counts.collect::<Vec<_>>()
        };
        assert_eq!(told(2), [2]);
        assert!(told(2).is_empty());
        assert!(told(0).is_empty(), "a topic that is being made");
        assert_eq!(told(6), [6]);
    }
}
