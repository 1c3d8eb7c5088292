//! How topics keep their records: compacted ones are refused, and who is far behind is warned before records expire.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, ConfigResourceResult, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::KafkaError;
use tokio::sync::mpsc;
use tracing::warn;

use super::topics::TopicsOf;
use crate::config::Kafka;
use crate::current::{self, Reader};

/// How often topics are looked at.
const INTERVAL: Duration = Duration::from_secs(10);

/// The longest wait for an answer of the brokers.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

type Admin = AdminClient<DefaultClientContext>;

/// How a topic keeps its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Kafka may keep the older of two versions.
    pub is_compacted: bool,
    /// None: for ever.
    pub retention: Option<Duration>,
}

impl Policy {
    /// The age of an unread record from which on somebody is warned of its end: half of its time. None: never.
    pub fn warning_age(&self) -> Option<Duration> {
        self.retention.map(|retention| retention / 2)
    }
}

/// The topics of a destination.
#[derive(Debug)]
pub struct Policies {
    /// The number of the destination.
    pub destination: usize,
    pub topics: BTreeMap<Arc<str>, Policy>,
}

/// Looks at the topics of all destinations, again and again, on a thread of its own: the brokers may take their time. It ends
/// with the configuration, or when nobody listens any more.
///
/// # Errors
/// When the thread or its client cannot be created.
pub fn watch_policies<A>(
    kafka: &Kafka,
    mut current: Reader,
    told: mpsc::Sender<A>,
) -> io::Result<()>
where
    A: From<Policies> + Send + 'static,
{
    let kafka = kafka.clone();
    let admin: Admin = kafka.client().create().map_err(io::Error::other)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    // The same is said once.
    let mut said = None;
    let watch = move || {
        loop {
            let served: Vec<_> = current.borrow_and_update().served.clone();
            let topics: Vec<_> = served
                .iter()
                .map(|served| (served.number, TopicsOf::new(&kafka, &served.settings)))
                .collect();
            match runtime.block_on(look(&admin, &topics)) {
                Ok(all) => {
                    said = None;
                    for policies in all {
                        if told.blocking_send(policies.into()).is_err() {
                            return;
                        }
                    }
                }
                Err(error) => {
                    let error = error.to_string();
                    if said.as_ref() != Some(&error) {
                        warn!(
                            error,
                            "cannot look how topics keep their records: none is refused for being compacted, and nobody is warned before they expire"
                        );
                    }
                    said = Some(error);
                }
            }
            if !current::wait(&current, INTERVAL) || told.is_closed() {
                return;
            }
        }
    };
    let thread = std::thread::Builder::new().name("policies".into());
    thread.spawn(watch).map(drop)
}

async fn look(admin: &Admin, served: &[(usize, TopicsOf)]) -> Result<Vec<Policies>, KafkaError> {
    if served.is_empty() {
        return Ok(vec![]);
    }
    let metadata = admin.inner().fetch_metadata(None, ANSWER_TIMEOUT)?;
    let names: Vec<&str> = metadata
        .topics()
        .iter()
        .map(rdkafka::metadata::MetadataTopic::name)
        .filter(|topic| served.iter().any(|(_, topics)| topics.has(topic)))
        .collect();
    let described = describe(admin, &names).await?;
    let described: Vec<_> = described
        .into_iter()
        .filter_map(|(topic, policy)| Some((topic, policy.ok()?)))
        .collect();
    let of = |(destination, topics): &(usize, TopicsOf)| Policies {
        destination: *destination,
        topics: described
            .iter()
            .filter(|(topic, _)| topics.has(topic))
            .cloned()
            .collect(),
    };
    Ok(served.iter().map(of).collect())
}

/// The policies of topics, or what the broker says instead.
///
/// # Errors
/// When the brokers do not answer in time.
pub async fn describe(
    admin: &AdminClient<DefaultClientContext>,
    names: &[&str],
) -> Result<Vec<(Arc<str>, Result<Policy, String>)>, KafkaError> {
    if names.is_empty() {
        return Ok(vec![]);
    }
    let wanted: Vec<_> = names
        .iter()
        .map(|name| ResourceSpecifier::Topic(name))
        .collect();
    let options = AdminOptions::new().request_timeout(Some(ANSWER_TIMEOUT));
    let described = admin.describe_configs(&wanted, &options).await?;
    let described = names.iter().zip(described);
    Ok(described
        .map(|(name, resource)| (Arc::from(*name), policy(resource)))
        .collect())
}

fn policy(resource: ConfigResourceResult) -> Result<Policy, String> {
    let resource = resource.map_err(|code| code.to_string())?;
    let entries = resource.entry_map();
    let value = |key| entries.get(key).and_then(|entry| entry.value.clone());
    let cleanup = value("cleanup.policy").ok_or("the broker does not tell its cleanup.policy")?;
    let retention = value("retention.ms").and_then(|text| text.parse().ok());
    Ok(Policy {
        is_compacted: cleanup.split(',').any(|part| part.trim() == "compact"),
        // Minus one means for ever.
        retention: retention.map(Duration::from_millis),
    })
}
