//! Where partitions begin, and what is committed of them: asked of the brokers on a thread of its own, because they may take
//! their time. An engine asks when a partition is assigned, and when offsets were passed over.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use relay_core::names::Partition;
use relay_core::rows::Bounds;
use tokio::sync::mpsc;
use tracing::warn;

use crate::config::Kafka;

/// The longest wait for one answer of the brokers.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// After a question that the brokers did not answer.
const RETRY_WAIT: Duration = Duration::from_secs(1);

/// Clients that nobody needs for so long are closed.
const IDLE: Duration = Duration::from_secs(10);

/// What an engine wants to know of a partition.
#[derive(Debug, Clone)]
pub struct Question {
    pub destination: usize,
    pub group: String,
    pub partition: Partition,
}

/// What the brokers said.
#[derive(Debug)]
pub struct Found {
    pub question: Question,
    pub bounds: Bounds,
}

/// Starts the thread `bounds`, which ends when nobody asks any more. What waits for it is bounded by the partitions: of each
/// there is one question at a time.
///
/// # Errors
/// When the thread cannot be started.
pub fn find_bounds<A>(kafka: &Kafka, answers: mpsc::Sender<A>) -> io::Result<Sender<Question>>
where
    A: From<Found> + Send + 'static,
{
    let (questions, asked) = channel();
    let client = kafka.client();
    let thread = std::thread::Builder::new().name("bounds".into());
    thread.spawn(move || answer(&client, &asked, &answers))?;
    Ok(questions)
}

fn answer<A: From<Found>>(
    config: &ClientConfig,
    asked: &Receiver<Question>,
    answers: &mpsc::Sender<A>,
) {
    let mut clients = HashMap::new();
    let mut waiting = VecDeque::new();
    let mut failed = false;
    loop {
        let wait = match (waiting.is_empty(), failed) {
            (true, _) => IDLE,
            (false, true) => RETRY_WAIT,
            (false, false) => Duration::ZERO,
        };
        match asked.recv_timeout(wait) {
            Ok(question) => waiting.push_back(question),
            Err(RecvTimeoutError::Timeout) if waiting.is_empty() => clients.clear(),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let Some(question) = waiting.pop_front() else {
            continue;
        };
        match find(config, &mut clients, &question) {
            Ok(bounds) => {
                failed = false;
                if answers
                    .blocking_send(Found { question, bounds }.into())
                    .is_err()
                {
                    return;
                }
            }
            Err(error) => {
                let Partition { topic, number } = &question.partition;
                warn!(group = question.group, %error, "cannot find where {topic}/{number} begins; nothing of it is committed before");
                failed = true;
                waiting.push_back(question);
            }
        }
    }
}

fn find(
    config: &ClientConfig,
    clients: &mut HashMap<String, BaseConsumer>,
    question: &Question,
) -> Result<Bounds, KafkaError> {
    let Question {
        group, partition, ..
    } = question;
    if !clients.contains_key(group) {
        // It never joins the group.
        let client = config.clone().set("group.id", group).create()?;
        clients.insert(group.clone(), client);
    }
    let client = &clients[group];
    let mut list = TopicPartitionList::new();
    list.add_partition(&partition.topic, partition.number);
    let committed = client.committed_offsets(list, ANSWER_TIMEOUT)?;
    let committed = committed
        .elements()
        .first()
        .and_then(|element| match element.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        });
    let begin = match client.fetch_watermarks(&partition.topic, partition.number, ANSWER_TIMEOUT) {
        Ok((begin, _)) => begin,
        Err(error) if is_gone(&error) => 0,
        Err(error) => return Err(error),
    };
    Ok(Bounds { begin, committed })
}

/// A topic that was deleted has lost nothing that anybody could tell.
fn is_gone(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownPartition
        )
    )
}
