//! Kafka and its topics, as `check` sees them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::metadata::Metadata;
use relay_core::names::Stream;
use relay_core::settings::Destination;

use super::expiry;
use super::report::Report;
use crate::cli::failure::Failure;
use crate::config::Config;
use crate::kafka::describe;

const TIMEOUT: Duration = Duration::from_secs(10);

/// The broker's own choice, for partitions and replicas.
const BROKER_DEFAULT: i32 = -1;

type Admin = AdminClient<DefaultClientContext>;

pub async fn check(
    config: &Config,
    create_topics: bool,
    report: &mut Report<'_>,
) -> Result<(), Failure> {
    let brokers = config.kafka.brokers.join(",");
    let admin: Admin = match config.kafka.client().create() {
        Ok(admin) => admin,
        Err(error) => return Ok(report.fail("kafka", &format!("{brokers}: {error}"))?),
    };
    // Blocks: nothing else waits here.
    let metadata = match admin.inner().fetch_metadata(None, TIMEOUT) {
        Ok(metadata) => metadata,
        Err(error) => return Ok(report.fail("kafka", &format!("{brokers}: {error}"))?),
    };
    let count = metadata.brokers().len();
    let plural = if count == 1 { "" } else { "s" };
    report.ok("kafka", &format!("{brokers}: {count} broker{plural}"))?;

    let topics = topics(&metadata);
    for destination in &config.destinations {
        check_topics(config, destination, &admin, &topics, create_topics, report).await?;
    }
    Ok(())
}

/// Names and numbers of partitions.
fn topics(metadata: &Metadata) -> Vec<(String, usize)> {
    metadata
        .topics()
        .iter()
        .map(|topic| (topic.name().to_owned(), topic.partitions().len()))
        .collect()
}

async fn check_topics(
    config: &Config,
    destination: &Destination,
    admin: &Admin,
    topics: &[(String, usize)],
    create_topics: bool,
    report: &mut Report<'_>,
) -> Result<(), Failure> {
    let (name, prefix) = (&*destination.name, &*config.kafka.topic_prefix);
    let mut found: BTreeMap<_, _> = topics
        .iter()
        .map(|(topic, count)| (&**topic, *count))
        .collect();
    found.retain(|topic, _| Stream::of_topic(topic, prefix, name).is_some());
    let names: Vec<_> = found.keys().copied().collect();
    match describe(admin, &names).await {
        Ok(described) => {
            let mut policies = BTreeMap::new();
            for (topic, policy) in described {
                let partitions = found[&*topic];
                match policy {
                    Ok(policy) if policy.is_compacted => report.fail(
                        name,
                        &format!("{topic} is compacted, so Kafka could keep the older of two versions: set cleanup.policy=delete"),
                    )?,
                    Ok(policy) => {
                        report.ok(name, &format!("{topic}, {partitions} partitions"))?;
                        policies.insert(topic, (partitions, policy));
                    }
                    Err(error) => report.warn(name, &format!("{topic}: {error}"))?,
                }
            }
            expiry::check(config, destination, &policies, report)?;
        }
        Err(error) => report.warn(
            name,
            &format!("cannot look how its topics keep their records: {error}"),
        )?,
    }
    let existing: BTreeSet<_> = topics.iter().map(|(topic, _)| topic.as_str()).collect();
    let expected = expected(destination, prefix);
    if found.is_empty() && expected.is_empty() {
        let pattern = format!("{prefix}<source>.{name}.<model>");
        report.warn(name, &format!("no topic {pattern} yet"))?;
    }
    for topic in expected {
        if existing.contains(topic.as_str()) {
            continue;
        }
        if let Some(rival) = existing.iter().find(|other| collide(other, &topic)) {
            report.fail(
                name,
                &format!("{topic} cannot exist beside {rival}: Kafka reads . and _ alike"),
            )?;
        } else if !create_topics {
            report.fail(
                name,
                &format!("{topic} is missing: create it, or use --create-topics"),
            )?;
        } else {
            match create(admin, &topic).await {
                Ok(()) => report.ok(name, &format!("{topic} created"))?,
                Err(error) => report.fail(name, &format!("{topic}: {error}"))?,
            }
        }
    }
    Ok(())
}

/// The topics that the configuration speaks of: its sources, each with the models that have a route.
fn expected(destination: &Destination, prefix: &str) -> Vec<String> {
    let mut topics = Vec::new();
    for source in &destination.sources {
        for model in destination.routes.keys() {
            let stream = Stream {
                destination: destination.name.clone(),
                source: source.as_str().into(),
                model: model.as_str().into(),
            };
            topics.push(stream.topic(prefix));
        }
    }
    topics
}

fn collide(one: &str, other: &str) -> bool {
    one != other && one.replace('.', "_") == other.replace('.', "_")
}

async fn create(admin: &Admin, topic: &str) -> Result<(), String> {
    let new = NewTopic::new(
        topic,
        BROKER_DEFAULT,
        TopicReplication::Fixed(BROKER_DEFAULT),
    );
    let options = AdminOptions::new().operation_timeout(Some(TIMEOUT));
    let created = admin
        .create_topics([&new], &options)
        .await
        .map_err(|error| error.to_string())?;
    match created.into_iter().next() {
        Some(Ok(_)) => Ok(()),
        Some(Err((_, code))) => Err(code.to_string()),
        None => Err("the broker does not say whether it was created".to_owned()),
    }
}
