//! Records that wait so long that they are about to expire: said before they do, because afterwards they are gone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use relay_core::engine::Engine;
use relay_core::time::{Now, Timestamp};
use tracing::warn;

use crate::kafka::Policy;
use crate::status::Expiring;

/// How often it is said of a topic.
const INTERVAL: Duration = Duration::from_secs(600);

/// What is known of a destination's topics, and when it was last said that something is about to expire.
#[derive(Debug, Default)]
pub struct Expiry {
    topics: BTreeMap<Arc<str>, Policy>,
    said_at: BTreeMap<Arc<str>, Duration>,
}

impl Expiry {
    pub fn note(&mut self, topics: BTreeMap<Arc<str>, Policy>) {
        self.topics = topics;
    }

    /// Where the oldest record that waits has used up half of its time; said of a topic now and then.
    pub fn look(&mut self, destination: &str, engine: &Engine, now: Now) -> Vec<Expiring> {
        let topics = &self.topics;
        let expiring = engine.oldest_unread().filter_map(|(partition, oldest)| {
            let policy = topics.get(&partition.topic)?;
            let age = age(oldest, now);
            (age >= policy.warning_age()?).then_some(Expiring {
                partition: partition.clone(),
                age,
                retention: policy.retention?,
            })
        });
        let expiring: Vec<_> = expiring.collect();
        for one in &expiring {
            self.say(destination, one, now);
        }
        expiring
    }

    fn say(&mut self, destination: &str, expiring: &Expiring, now: Now) {
        let topic = &expiring.partition.topic;
        let said_at = self.said_at.get(topic);
        if said_at.is_some_and(|at| now.monotonic.saturating_sub(*at) < INTERVAL) {
            return;
        }
        self.said_at.insert(topic.clone(), now.monotonic);
        warn!(
            destination,
            topic = &**topic,
            partition = expiring.partition.number,
            age_seconds = expiring.age.as_secs(),
            retention_seconds = expiring.retention.as_secs(),
            "the oldest record that waits is about to expire; raise the topic's retention.ms, or let the destination go on"
        );
    }
}

fn age(timestamp: Timestamp, now: Now) -> Duration {
    Duration::try_from(now.wall.duration_since(timestamp)).unwrap_or_default()
}
