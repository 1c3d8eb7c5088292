//! Records that wait so long that they are about to expire: said before they do, because afterwards they are gone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use relay_core::engine::Engine;
use relay_core::time::{Now, Timestamp};
use tracing::warn;

use crate::kafka::Policy;

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

    /// Looks whether the oldest record that waits has used up half of its time.
    pub fn look(&mut self, destination: &str, engine: &Engine, now: Now) {
        for (partition, oldest) in engine.oldest_unread() {
            let policy = self.topics.get(&partition.topic);
            let Some(retention) = policy.and_then(|policy| policy.retention) else {
                continue;
            };
            let age = age(oldest, now);
            let said_at = self.said_at.get(&partition.topic);
            let was_said = said_at.is_some_and(|at| now.monotonic.saturating_sub(*at) < INTERVAL);
            if age < retention / 2 || was_said {
                continue;
            }
            self.said_at.insert(partition.topic.clone(), now.monotonic);
            warn!(
                destination,
                topic = &*partition.topic,
                partition = partition.number,
                age_seconds = age.as_secs(),
                retention_seconds = retention.as_secs(),
                "the oldest record that waits is about to expire; raise the topic's retention.ms, or let the destination go on"
            );
        }
    }
}

fn age(timestamp: Timestamp, now: Now) -> Duration {
    Duration::try_from(now.wall.duration_since(timestamp)).unwrap_or_default()
}
