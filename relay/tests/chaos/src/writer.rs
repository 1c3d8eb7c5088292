//! The producer's side: live writes for as long as the faults last, most of them plain, some in transactions of which a
//! share is aborted.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use relay_core::proto::Operation;
use relay_test_support::record::Record;
use serde_json::{Value, json};

use crate::dice::{Dice, dice_of};
use crate::plan::DESTINATIONS;

pub const SOURCE: &str = "monolith";
pub const MODELS: [&str; 2] = ["Vehicle", "Driver"];

/// Keys that the consumer answers 500, or 424, for as long as faults last.
pub const POISON_SUSPECT: &str = "poison-500";
pub const POISON_RECORD: &str = "poison-424";

const KEYS: usize = 400;
/// A quarter of the writes is to one of these.
const HOT_KEYS: usize = 12;
/// Every so many versions one is of each kind of poison key: each must have the time to use its budget up.
const POISON_EVERY: u64 = 150;
/// How often a row changes at once, now and then.
const BURST: usize = 3;
const BURST_PAUSE: Duration = Duration::from_millis(8);
/// Between writes: each goes to every destination.
const PAUSE: Duration = Duration::from_millis(14);
const TRANSACTION_PAUSE: Duration = Duration::from_millis(700);
const TRANSACTION_RECORDS: usize = 12;
const BROKER_PATIENCE: Duration = Duration::from_secs(10);

/// What a version of a key holds: every reader can tell whether a record was mixed up.
pub fn attributes(stream_key: &str, version: u64, is_delete: bool) -> Value {
    if is_delete {
        return Value::Null;
    }
    json!({"plate": plate(stream_key, version), "revision": version})
}

fn plate(stream_key: &str, version: u64) -> String {
    format!("{stream_key} {version}")
}

/// Draws versions and writes until it is over.
pub struct Writer<'a> {
    pub seed: u64,
    pub brokers: &'a str,
    /// Names the topic of a destination and a model.
    pub topic: &'a (dyn Fn(&str, &str) -> String + Sync),
    pub version: &'a AtomicU64,
    pub is_over: &'a AtomicBool,
}

/// One write, the same to every destination.
struct Write {
    model: &'static str,
    record: Record,
}

impl Writer<'_> {
    /// Plain writes; some come twice, and some overtake an older version of their key.
    pub fn write(&self) {
        let mut dice = dice_of(self.seed, "writer");
        let producer = self.client().create().unwrap();
        let mut late: Option<Write> = None;
        while !self.is_over.load(Ordering::Relaxed) {
            let write = self.draw(&mut dice);
            self.send(&producer, &write);
            if dice.happens(2) {
                self.send(&producer, &write);
            }
            if dice.happens(10) {
                // A row that changes several times at once: its versions meet in a lane.
                for _ in 0..BURST {
                    // Not in one batch, or the relay would know of the last one before it sends the first.
                    thread::sleep(BURST_PAUSE);
                    let next = self.next_of(&write, &mut dice);
                    self.send(&producer, &next);
                }
            }
            match late.take() {
                Some(older) if dice.happens(30) => self.send(&producer, &older),
                None if dice.happens(5) => {
                    let older = self.draw(&mut dice);
                    // A newer version of the same key is on its way before it.
                    let newer = self.next_of(&older, &mut dice);
                    self.send(&producer, &newer);
                    late = Some(older);
                }
                kept => late = kept,
            }
            producer.poll(PAUSE);
            thread::sleep(PAUSE);
        }
        if let Some(older) = late {
            self.send(&producer, &older);
        }
        flush(&producer);
    }

    /// Writes in transactions: a third of them is aborted, and what a broken one leaves is.
    pub fn write_in_transactions(&self) -> u64 {
        let mut dice = dice_of(self.seed, "transactions");
        let mut aborted = 0;
        let mut producer = None;
        while !self.is_over.load(Ordering::Relaxed) {
            thread::sleep(TRANSACTION_PAUSE);
            let is_aborted = dice.happens(33);
            let writes: Vec<_> = (0..TRANSACTION_RECORDS)
                .map(|_| self.draw(&mut dice))
                .collect();
            let done = producer
                .take()
                .map_or_else(|| self.transactional(), Ok)
                .and_then(|open| self.transact(&open, &writes, is_aborted).map(|()| open));
            // One whose transaction broke is replaced; its successor aborts what it left.
            producer = done.ok();
            aborted += u64::from(is_aborted && producer.is_some());
        }
        aborted
    }

    fn transact(
        &self,
        producer: &BaseProducer,
        writes: &[Write],
        is_aborted: bool,
    ) -> Result<(), KafkaError> {
        producer.begin_transaction()?;
        for write in writes {
            self.send(producer, write);
            producer.poll(Duration::ZERO);
        }
        if is_aborted {
            // Sent first, so that there is something to abort in the topic.
            producer.flush(BROKER_PATIENCE)?;
            producer.abort_transaction(BROKER_PATIENCE)
        } else {
            producer.commit_transaction(BROKER_PATIENCE)
        }
    }

    fn transactional(&self) -> Result<BaseProducer, KafkaError> {
        let mut client = self.client();
        client
            .set("transactional.id", format!("chaos-{}", self.brokers))
            .set("transaction.timeout.ms", "10000");
        let producer: BaseProducer = client.create()?;
        producer.init_transactions(BROKER_PATIENCE)?;
        Ok(producer)
    }

    fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client
            .set("bootstrap.servers", self.brokers)
            .set("enable.idempotence", "true")
            .set("partitioner", "murmur2")
            .set("linger.ms", "5")
            .set_log_level(rdkafka::config::RDKafkaLogLevel::Emerg);
        client
    }

    fn draw(&self, dice: &mut Dice) -> Write {
        let version = self.next_version();
        let model = dice.pick(&MODELS);
        let key = match version % POISON_EVERY {
            0 => format!("{POISON_SUSPECT}-{}", dice.below(2)),
            1 => format!("{POISON_RECORD}-{}", dice.below(2)),
            _ if dice.happens(25) => format!("hot-{}", dice.below(HOT_KEYS)),
            _ => dice.below(KEYS).to_string(),
        };
        version_of(model, &key, version, dice)
    }

    fn next_of(&self, write: &Write, dice: &mut Dice) -> Write {
        version_of(write.model, write.record.key(), self.next_version(), dice)
    }

    fn next_version(&self) -> u64 {
        self.version.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn send(&self, producer: &BaseProducer, write: &Write) {
        let value = write.record.encode();
        for destination in DESTINATIONS {
            let topic = (self.topic)(destination, write.model);
            let headers = OwnedHeaders::new().insert(Header {
                key: "schema-version",
                value: Some("1"),
            });
            let record = BaseRecord::to(&topic)
                .key(write.record.key())
                .payload(&value)
                .headers(headers);
            // What the queue has no room for, or a broken transaction no use, was never written.
            let _ = producer.send(record);
        }
    }
}

/// Some change of a row.
fn version_of(model: &'static str, key: &str, version: u64, dice: &mut Dice) -> Write {
    let operation = match dice.below(20) {
        0 => Operation::Delete,
        1 | 2 => Operation::Create,
        3 | 4 => Operation::Snapshot,
        _ => Operation::Update,
    };
    let mut record = Record::new(SOURCE, model, key)
        .version(version)
        .operation(operation);
    if operation == Operation::Snapshot {
        record.message_mut().backfill_run_id = "run-1".into();
    }
    if operation != Operation::Delete {
        let revision = i64::try_from(version).unwrap();
        let stream_key = format!("{SOURCE}/{model}/{key}");
        record = record
            .text("plate", &plate(&stream_key, version))
            .number("revision", revision);
    }
    Write { model, record }
}

/// Waits until the broker has everything, or has refused it.
fn flush(producer: &BaseProducer) {
    let deadline = Instant::now() + BROKER_PATIENCE * 6;
    while producer.in_flight_count() > 0 && Instant::now() < deadline {
        // Ends early when the broker is away; the loop goes on.
        let _ = producer.flush(BROKER_PATIENCE);
    }
}
