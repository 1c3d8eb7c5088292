//! How many partitions topics have: what a rate limit is shared by, and which partition a key belongs to.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::metadata::MetadataTopic;
use tokio::sync::mpsc;
use tracing::warn;

use super::topics::TopicsOf;
use crate::config::Kafka;
use crate::current::{self, Current, Reader};

/// As often as consumers look for new topics.
const INTERVAL: Duration = Duration::from_secs(5);

/// The longest wait for an answer of the brokers.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Without a first count nothing is sent of what has a rate limit.
const FAILED_INTERVAL: Duration = Duration::from_millis(200);

/// The topics of a destination, and how many partitions each has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// The number of the destination.
    pub destination: usize,
    pub topics: Vec<(Arc<str>, i32)>,
}

/// Counts the partitions of all destinations, again and again, on a thread of its own: the brokers may take their time. It
/// ends with the configuration, or when nobody listens any more.
///
/// # Errors
///
/// When the thread or its client cannot be created.
pub fn watch_partitions<A>(
    kafka: &Kafka,
    mut current: Reader,
    counts: mpsc::Sender<A>,
) -> io::Result<()>
where
    A: From<Counted> + Send + 'static,
{
    let kafka = kafka.clone();
    let client: BaseConsumer = kafka.client().create().map_err(io::Error::other)?;
    let watch = move || {
        let mut has_failed = false;
        loop {
            let topics = topics_of(&kafka, &current.borrow_and_update());
            let counted = count(&client, &topics);
            let interval = match &counted {
                Ok(_) => INTERVAL,
                Err(_) => FAILED_INTERVAL,
            };
            // Said once: an outage is no news.
            if let (false, Err(error)) = (has_failed, &counted) {
                warn!(%error, "partitions cannot be counted");
            }
            has_failed = counted.is_err();
            for one in counted.into_iter().flatten() {
                if counts.blocking_send(one.into()).is_err() {
                    return;
                }
            }
            if !current::wait(&current, interval) || counts.is_closed() {
                return;
            }
        }
    };
    let thread = std::thread::Builder::new().name("counts".into());
    thread.spawn(watch).map(drop)
}

fn topics_of(kafka: &Kafka, current: &Current) -> Vec<(usize, TopicsOf)> {
    let all = current.served.iter();
    all.map(|served| (served.number, TopicsOf::new(kafka, &served.settings)))
        .collect()
}

fn count(client: &BaseConsumer, topics: &[(usize, TopicsOf)]) -> Result<Vec<Counted>, KafkaError> {
    if topics.is_empty() {
        return Ok(vec![]);
    }
    let metadata = client.fetch_metadata(None, ANSWER_TIMEOUT)?;
    // A topic that is being made, or whose leader is unknown, may have an error instead of its partitions.
    let known = || {
        metadata
            .topics()
            .iter()
            .filter(|topic| topic.error().is_none())
    };
    let count_of = |(destination, topics): &(usize, TopicsOf)| Counted {
        destination: *destination,
        topics: known()
            .filter(|topic| topics.has(topic.name()))
            .map(sized)
            .collect(),
    };
    Ok(topics.iter().map(count_of).collect())
}

fn sized(topic: &MetadataTopic) -> (Arc<str>, i32) {
    let partitions = i32::try_from(topic.partitions().len()).unwrap_or(i32::MAX);
    (topic.name().into(), partitions)
}
