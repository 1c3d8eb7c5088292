//! How many partitions a destination has in all replicas: what its rate limit is shared by.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use relay_core::settings::Destination;
use tokio::sync::mpsc;
use tracing::warn;

use super::consumer::TopicsOf;
use crate::config::Kafka;

/// As often as consumers look for new topics.
const INTERVAL: Duration = Duration::from_secs(5);

/// While the first count is missing nothing is sent.
const FIRST_INTERVAL: Duration = Duration::from_millis(200);

/// The longest wait for an answer of the brokers.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// The partitions of a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// Its position in the list given to [`watch_partitions`].
    pub destination: usize,
    pub partitions: usize,
}

/// Counts the partitions of those destinations that have a rate limit, again and again, on a thread of its own: the brokers
/// may take their time. It ends when nobody listens any more. Without such a destination there is no thread.
///
/// # Errors
///
/// When the thread or its client cannot be created.
pub fn watch_partitions<A>(
    kafka: &Kafka,
    destinations: &[Arc<Destination>],
    counts: mpsc::Sender<A>,
) -> io::Result<()>
where
    A: From<Counted> + Send + 'static,
{
    let limited = destinations.iter().enumerate();
    let limited = limited.filter(|(_, destination)| destination.rate_limit > 0.0);
    let topics: Vec<_> = limited
        .map(|(position, destination)| (position, TopicsOf::new(kafka, destination)))
        .collect();
    if topics.is_empty() {
        return Ok(());
    }
    let client: BaseConsumer = kafka.client().create().map_err(io::Error::other)?;
    let watch = move || {
        let mut interval = FIRST_INTERVAL;
        loop {
            match count(&client, &topics) {
                Ok(counted) => {
                    interval = INTERVAL;
                    for one in counted {
                        if counts.blocking_send(one.into()).is_err() {
                            return;
                        }
                    }
                }
                Err(error) => warn!(%error, "partitions cannot be counted for rate limits"),
            }
            std::thread::sleep(interval);
            if counts.is_closed() {
                return;
            }
        }
    };
    let thread = std::thread::Builder::new().name("counts".into());
    thread.spawn(watch).map(drop)
}

fn count(client: &BaseConsumer, topics: &[(usize, TopicsOf)]) -> Result<Vec<Counted>, KafkaError> {
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
