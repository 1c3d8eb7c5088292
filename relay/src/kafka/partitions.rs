//! How many partitions a destination has in all replicas: what its rate limit is shared by.

use std::io;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use tokio::sync::mpsc;
use tracing::warn;

use super::consumer::TopicsOf;
use crate::config::Kafka;
use crate::current::{self, Current, Reader};

/// As often as consumers look for new topics.
const INTERVAL: Duration = Duration::from_secs(5);

/// The longest wait for an answer of the brokers.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// While the first count is missing nothing is sent.
const FAILED_INTERVAL: Duration = Duration::from_millis(200);

/// The partitions of a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// The number of the destination.
    pub destination: usize,
    pub partitions: usize,
}

/// Counts the partitions of those destinations that have a rate limit, again and again, on a thread of its own: the brokers
/// may take their time. It ends with the configuration, or when nobody listens any more.
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
        loop {
            let topics = limited(&kafka, &current.borrow_and_update());
            let interval = match count(&client, &topics) {
                Ok(counted) => {
                    for one in counted {
                        if counts.blocking_send(one.into()).is_err() {
                            return;
                        }
                    }
                    INTERVAL
                }
                Err(error) => {
                    warn!(%error, "partitions cannot be counted for rate limits");
                    FAILED_INTERVAL
                }
            };
            if !current::wait(&current, interval) || counts.is_closed() {
                return;
            }
        }
    };
    let thread = std::thread::Builder::new().name("counts".into());
    thread.spawn(watch).map(drop)
}

fn limited(kafka: &Kafka, current: &Current) -> Vec<(usize, TopicsOf)> {
    let limited = current.served.iter();
    limited
        .filter(|served| served.settings.rate_limit > 0.0)
        .map(|served| (served.number, TopicsOf::new(kafka, &served.settings)))
        .collect()
}

fn count(client: &BaseConsumer, topics: &[(usize, TopicsOf)]) -> Result<Vec<Counted>, KafkaError> {
    if topics.is_empty() {
        return Ok(vec![]);
    }
    let metadata = client.fetch_metadata(None, ANSWER_TIMEOUT)?;
    let count_of = |(destination, topics): &(usize, TopicsOf)| {
        let mine = metadata
            .topics()
            .iter()
            .filter(|topic| topics.has(topic.name()));
        Counted {
            destination: *destination,
            partitions: mine.map(|topic| topic.partitions().len()).sum(),
        }
    };
    Ok(topics.iter().map(count_of).collect())
}
