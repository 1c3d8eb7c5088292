//! Which topics are a destination's.

use std::sync::Arc;

use relay_core::names::Stream;
use relay_core::settings::Destination;

use crate::config::Kafka;

/// Tells them apart by their names.
pub(super) struct TopicsOf {
    prefix: String,
    destination: Arc<str>,
    /// Empty means any.
    sources: Vec<String>,
}

impl TopicsOf {
    pub(super) fn new(kafka: &Kafka, destination: &Destination) -> Self {
        Self {
            prefix: kafka.topic_prefix.clone(),
            destination: destination.name.clone(),
            sources: destination.sources.clone(),
        }
    }

    pub(super) fn has(&self, topic: &str) -> bool {
        let stream = Stream::of_topic(topic, &self.prefix, &self.destination);
        let is_allowed = |source: &str| {
            self.sources.is_empty() || self.sources.iter().any(|allowed| allowed == source)
        };
        stream.is_some_and(|stream| is_allowed(&stream.source))
    }
}

/// The topics of a destination: any of its sources, any model.
pub(super) fn pattern(prefix: &str, destination: &Destination) -> String {
    let sources = if destination.sources.is_empty() {
        "[a-z][a-z0-9_-]*".to_owned()
    } else {
        format!("({})", destination.sources.join("|"))
    };
    let prefix = prefix.replace('.', "\\.");
    format!(
        "^{prefix}{sources}\\.{}\\.[A-Za-z][A-Za-z0-9_-]*$",
        destination.name
    )
}
