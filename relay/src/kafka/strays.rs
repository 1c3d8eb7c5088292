//! Partitions that nobody owns, though their group believes itself settled.
//!
//! A cooperative rebalance has two halves: members give up what others shall have, then all ask again and the others get
//! it. A static member that dies between the two comes back to the assignment of the first half, for the broker gives a
//! static member what it had and rebalances nothing. What was given up is nobody's then, until some member comes or goes.
//! So each replica looks now and then, and one of them knocks: a member without a name joins and leaves again, which makes
//! the group settle anew.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::groups::GroupInfo;
use relay_core::names::Partition;
use relay_core::settings::Destination;
use tracing::{debug, warn};

use super::topics::{TopicsOf, pattern};
use crate::config::Kafka;
use crate::current::Reader;

/// How often a group is looked at. What nobody owned twice is knocked for: longer than a rebalance, or than a new topic
/// takes to be seen.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);

/// The longest wait for one answer of the brokers.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a knock waits for its place in the group, in polls of a tenth of a second.
const KNOCK_POLLS: usize = 300;
const KNOCK_POLL: Duration = Duration::from_millis(100);

/// The thread that looks; it ends when this is dropped.
#[derive(Debug)]
pub struct Strays {
    _stop: Sender<()>,
}

impl Strays {
    /// Begins to look after the groups of all destinations.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn watch(kafka: &Kafka, current: Reader, replica: &str) -> std::io::Result<Self> {
        let (stop, stopped) = channel();
        let groups = Groups {
            client: kafka.client(),
            kafka: kafka.clone(),
            replica: replica.to_owned(),
            current,
            before: HashMap::new(),
        };
        std::thread::Builder::new()
            .name("strays".into())
            .spawn(move || groups.look_after(&stopped))?;
        Ok(Self { _stop: stop })
    }
}

/// The groups of all destinations.
struct Groups {
    client: ClientConfig,
    kafka: Kafka,
    replica: String,
    current: Reader,
    /// What nobody owned the last time, by group.
    before: HashMap<String, BTreeSet<Partition>>,
}

impl Groups {
    fn look_after(mut self, stopped: &Receiver<()>) {
        let looking: BaseConsumer = match self.client.create() {
            Ok(looking) => looking,
            Err(error) => return warn!(%error, "nobody looks for partitions without an owner"),
        };
        while stopped.recv_timeout(LOOK_INTERVAL) == Err(RecvTimeoutError::Timeout) {
            let current = self.current.borrow_and_update().clone();
            let mut before = std::mem::take(&mut self.before);
            for served in &current.served {
                let mut group = Group::of(&self.kafka, &served.settings, &self.replica);
                group.before = before.remove(&group.name).unwrap_or_default();
                if let Err(error) = group.look(&looking, &self.client) {
                    debug!(group = group.name, %error, "cannot look for partitions without an owner");
                }
                self.before.insert(group.name, group.before);
            }
        }
    }
}

/// The group of one destination.
struct Group {
    name: String,
    pattern: String,
    topics_of: TopicsOf,
    replica: String,
    /// What nobody owned the last time.
    before: BTreeSet<Partition>,
}

impl Group {
    fn of(kafka: &Kafka, destination: &Destination, replica: &str) -> Self {
        Self {
            name: kafka.group(&destination.name),
            pattern: pattern(&kafka.topic_prefix, destination),
            topics_of: TopicsOf::new(kafka, destination),
            replica: replica.to_owned(),
            before: BTreeSet::new(),
        }
    }

    fn look(&mut self, looking: &BaseConsumer, client: &ClientConfig) -> Result<(), KafkaError> {
        let groups = looking.fetch_group_list(Some(&self.name), ANSWER_TIMEOUT)?;
        let group = groups
            .groups()
            .iter()
            .find(|group| group.name() == self.name);
        let Some(group) = group.filter(|group| group.state() == "Stable") else {
            self.before.clear();
            return Ok(());
        };
        let strays = self.strays(looking, group)?;
        let lasting: Vec<_> = strays.intersection(&self.before).cloned().collect();
        // All replicas see the same; the first by name acts.
        let first = group
            .members()
            .iter()
            .map(rdkafka::groups::GroupMemberInfo::client_id)
            .min();
        if !lasting.is_empty() && first == Some(self.replica.as_str()) {
            warn!(
                group = self.name,
                partitions = lasting.len(),
                "nobody owns some partitions, since a replica died in the middle of a rebalance: rebalancing again"
            );
            self.knock(client)?;
        }
        self.before = strays;
        Ok(())
    }

    /// The destination's partitions that no member was assigned.
    fn strays(
        &self,
        looking: &BaseConsumer,
        group: &GroupInfo,
    ) -> Result<BTreeSet<Partition>, KafkaError> {
        let metadata = looking.fetch_metadata(None, ANSWER_TIMEOUT)?;
        let mut strays = BTreeSet::new();
        for topic in metadata
            .topics()
            .iter()
            .filter(|topic| self.topics_of.has(topic.name()))
        {
            let name: Arc<str> = topic.name().into();
            strays.extend(topic.partitions().iter().map(|partition| Partition {
                topic: name.clone(),
                number: partition.id(),
            }));
        }
        for member in group.members() {
            for partition in assigned(member.assignment().unwrap_or_default()) {
                strays.remove(&partition);
            }
        }
        Ok(strays)
    }

    /// Joins the group without a name, waits for the rebalance, and leaves.
    fn knock(&self, client: &ClientConfig) -> Result<(), KafkaError> {
        let mut client = client.clone();
        client
            .set("client.id", format!("{}-knocking", self.replica))
            .set("group.id", &self.name)
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false");
        let knocking: BaseConsumer = client.create()?;
        knocking.subscribe(&[&self.pattern])?;
        for _ in 0..KNOCK_POLLS {
            // Whatever it is given to read is read again by the owner: nothing of it is committed.
            drop(knocking.poll(KNOCK_POLL));
            if knocking.assignment()?.count() > 0 {
                break;
            }
        }
        Ok(())
    }
}

/// The partitions of a member's assignment, as the consumer protocol writes it: version, then topics with their partitions
/// (<https://kafka.apache.org/protocol>). What cannot be read assigns nothing.
fn assigned(bytes: &[u8]) -> Vec<Partition> {
    let mut partitions = vec![];
    let mut rest = bytes;
    if read(&mut rest, &mut partitions).is_none() {
        partitions.clear();
    }
    partitions
}

fn read(rest: &mut &[u8], partitions: &mut Vec<Partition>) -> Option<()> {
    take::<2>(rest)?;
    for _ in 0..i32::from_be_bytes(take(rest)?) {
        let length = usize::from(u16::from_be_bytes(take(rest)?));
        let (name, after) = rest.split_at_checked(length)?;
        *rest = after;
        let topic: Arc<str> = std::str::from_utf8(name).ok()?.into();
        for _ in 0..i32::from_be_bytes(take(rest)?) {
            let number = i32::from_be_bytes(take(rest)?);
            partitions.push(Partition {
                topic: topic.clone(),
                number,
            });
        }
    }
    Some(())
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_names_topics_and_their_partitions() {
        let written = b"\0\x01\0\0\0\x02\0\x01a\0\0\0\x02\0\0\0\0\0\0\0\x03\0\x01b\0\0\0\x01\0\0\0\x07\xff\xff\xff\xff";
        let names: Vec<_> = assigned(written)
            .iter()
            .map(|partition| format!("{}/{}", partition.topic, partition.number))
            .collect();
        assert_eq!(names, ["a/0", "a/3", "b/7"]);
    }

    #[test]
    fn an_assignment_that_is_cut_off_or_missing_names_nothing() {
        assert!(assigned(b"\0\x01\0\0\0\x02\0\x01a\0\0\0\x02\0\0\0\0").is_empty());
        assert!(assigned(b"").is_empty());
    }
}
