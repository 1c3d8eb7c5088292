//! Names of its own for one test, so that tests share the services and nothing else.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

use crate::database::Database;
use crate::kafka;

/// One test's corner of the services.
#[derive(Debug)]
pub struct Scene {
    name: String,
    pub database: Database,
}

impl Scene {
    /// A fresh database, and a prefix under which no topic exists.
    pub fn new() -> Self {
        let name = unique_name();
        Self {
            database: Database::create(&name),
            name,
        }
    }

    pub fn topic_prefix(&self) -> String {
        format!("{}.", self.name)
    }

    pub fn group_prefix(&self) -> String {
        format!("{}-relay.", self.name)
    }

    /// The consumer group of a destination.
    pub fn group(&self, destination: &str) -> String {
        format!("{}{destination}", self.group_prefix())
    }

    /// The topic of a stream.
    pub fn topic(&self, source: &str, destination: &str, model: &str) -> String {
        format!("{}{source}.{destination}.{model}", self.topic_prefix()).replace("::", "-")
    }

    /// Creates the topic of a stream and names it.
    pub fn create_topic(
        &self,
        source: &str,
        destination: &str,
        model: &str,
        partitions: i32,
    ) -> String {
        let topic = self.topic(source, destination, model);
        kafka::create_topic(&topic, partitions, &[]);
        topic
    }
}

impl Default for Scene {
    fn default() -> Self {
        Self::new()
    }
}

/// A name that no other test has, good for a database, a topic and a file.
pub fn unique_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("test_{:x}_{}_{count}", now.as_millis(), std::process::id())
}
