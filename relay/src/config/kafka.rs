//! `[kafka]`: where records come from.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;

use super::secret::Secret;
use super::section::{MASK, Section};
use super::tree::{Node, Value};

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
        let properties = read_properties(section);
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
        return section.problem(node, "must name at least one broker");
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

fn read_properties(section: &Section<'_>) -> Option<BTreeMap<String, Secret>> {
    let mut properties = BTreeMap::new();
    let mut shown = serde_json::Map::new();
    let mut is_right = true;
    for (name, node) in section.entries("properties") {
        match read_property(section, name, node) {
            Some((value, is_secret)) => {
                let text = if is_secret { MASK } else { value.expose() };
                shown.insert(name.clone(), text.into());
                properties.insert(name.clone(), value);
            }
            None => is_right = false,
        }
    }
    section.show("properties", shown);
    is_right.then_some(properties)
}

/// The value of a property, and whether it is a secret.
fn read_property(section: &Section<'_>, name: &str, node: &Node) -> Option<(Secret, bool)> {
    if let Some(owner) = owner_of(name) {
        return section.problem(node, format!("is the relay's own: {owner}"));
    }
    let (value, is_secret) = match &node.value {
        _ if is_secret_property(name) => (section.secret(node)?, true),
        Value::Integer(integer) => (Secret::new(integer.to_string()), false),
        Value::Number(number) => (Secret::new(number.to_string()), false),
        Value::Flag(flag) => (Secret::new(flag.to_string()), false),
        _ => {
            let resolved = section.resolve(node, "a string, a number or a boolean")?;
            (Secret::new(resolved.text), resolved.is_reference)
        }
    };
    match refusal(name, &value) {
        None => Some((value, is_secret)),
        // librdkafka quotes the value.
        Some(_) if is_secret => section.problem(node, "is refused by librdkafka"),
        Some(reason) => section.problem(node, format!("is refused by librdkafka: {reason}")),
    }
}

/// What librdkafka has against a property; it knows their names and limits best.
fn refusal(name: &str, value: &Secret) -> Option<String> {
    match ClientConfig::new()
        .set(name, value.expose())
        .create_native_config()
    {
        Ok(_) => None,
        Err(KafkaError::ClientConfig(_, reason, ..)) => Some(reason),
        Err(error) => Some(error.to_string()),
    }
}

fn is_secret_property(name: &str) -> bool {
    ["password", "passphrase", "secret"]
        .iter()
        .any(|word| name.contains(word))
        || name.ends_with("key.pem")
        || name == "sasl.oauthbearer.config"
}

/// Which key or promise a property would contradict.
fn owner_of(name: &str) -> Option<&'static str> {
    Some(match name {
        "bootstrap.servers" | "metadata.broker.list" => "set kafka.brokers",
        "session.timeout.ms" => "set kafka.session_timeout",
        "group.id" => "set kafka.group_prefix",
        "group.instance.id" => "set relay.name",
        "enable.auto.commit" | "auto.commit.interval.ms" | "auto.commit.enable" => {
            "set kafka.commit_interval"
        }
        "auto.offset.reset" => "set a destination's start",
        "group.protocol" | "group.protocol.type" | "group.remote.assignor" => {
            "groups use the classic protocol"
        }
        "partition.assignment.strategy" => "groups use cooperative-sticky",
        "enable.auto.offset.store" | "offset.store.method" | "offset.store.path" => {
            "offsets are committed only for what is logged or parked"
        }
        _ => return None,
    })
}
