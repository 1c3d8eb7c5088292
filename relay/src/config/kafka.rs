//! `[kafka]`: where records come from.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::ClientConfig;

use super::properties;
use super::secret::Secret;
use super::section::Section;

/// `[kafka]`
#[derive(Debug, Clone)]
pub struct Kafka {
    /// `host:port`, at least one.
    pub brokers: Vec<String>,
    pub topic_prefix: String,
    pub group_prefix: String,
    pub session_timeout: Duration,
    pub commit_interval: Duration,
    /// librdkafka's properties; all may be secrets, so none is shown.
    pub properties: BTreeMap<String, Secret>,
}

impl Kafka {
    pub(super) fn read(section: &Section<'_>) -> Option<Self> {
        let brokers = read_brokers(section);
        let prefix = |key| {
            section.text(
                key,
                "at most 100 of the characters A-Z a-z 0-9 . _ -",
                |text| is_prefix(text).then(|| text.to_owned()),
            )
        };
        let topic_prefix = prefix("topic_prefix");
        let group_prefix = prefix("group_prefix");
        let session_timeout = section.duration(
            "session_timeout",
            Duration::from_secs(6)..=Duration::from_secs(300),
        );
        let commit_interval = section.duration(
            "commit_interval",
            Duration::from_millis(50)..=Duration::from_secs(10),
        );
        let properties = properties::read(section);
        section.refuse_unknown_keys();
        Some(Self {
            brokers: brokers?,
            topic_prefix: topic_prefix?,
            group_prefix: group_prefix?,
            session_timeout: session_timeout?,
            commit_interval: commit_interval?,
            properties: properties?,
        })
    }

    /// What every client of these brokers begins with.
    pub fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        for (name, value) in &self.properties {
            client.set(name, value.expose());
        }
        client.set("bootstrap.servers", self.brokers.join(","));
        client
    }

    /// The consumer group of a destination.
    pub fn group(&self, destination: &str) -> String {
        format!("{}{destination}", self.group_prefix)
    }
}

fn read_brokers(section: &Section<'_>) -> Option<Vec<String>> {
    let brokers = section.texts("brokers", "an address like \"kafka-1:9092\"", is_broker)?;
    if brokers.is_empty() {
        let node = section.required("brokers")?;
        return section.refuse(node, "a list of at least one address like \"kafka-1:9092\"");
    }
    Some(brokers)
}

fn is_broker(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        let is_host = !host.is_empty()
            && !host.contains(|c: char| c.is_whitespace() || c.is_control() || ",/@".contains(c));
        is_host && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

fn is_prefix(text: &str) -> bool {
    text.len() <= 100
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}
