//! One key of one partition of one replica, led by hand through what the simulation meets by chance.

mod words;

use std::sync::Arc;
use std::time::Duration;

use relay_core::engine::fetching::Hold;
use relay_core::engine::view::View;
use relay_core::engine::{Action, Engine, Event, KafkaRecord, RequestId};
use relay_core::exchange::{End, ErrorClass, Exchange, HttpRequest, Timings};
use relay_core::names::{Partition, Stream};
use relay_core::proto::Operation;
use relay_core::record::{Raw, Record};
use relay_core::rows::{
    Batch, Bounds, Held, HomePartition, ParkedEntry, ParkedReason, ParkedRow, ParkedState,
    PartitionState, RecordName, Subject,
};
use relay_core::settings::Destination;
use relay_core::time::{Now, Timestamp};

pub use self::words::{
    answered, answered_with, asks_for_ledger, asks_for_parked, asks_for_partition, committed,
    pauses, reset, resumes, sends, versions_sent,
};
use crate::world::rules::Knobs;
use crate::world::topics::{Key, Topics};
use crate::world::{Dice, Rules, settings};

/// A retry that waits for nothing.
pub const DUE: ParkedState = ParkedState::Parked {
    reason: ParkedReason::Retry,
    next_attempt_at: Timestamp::UNIX_EPOCH,
};

pub struct Desk {
    pub engine: Engine,
    pub partition: Partition,
    pub key: Key,
    topics: Topics,
    dice: Dice,
    now: Duration,
    flights: Vec<(RequestId, HttpRequest)>,
    settings: Destination,
    /// What Kafka says of the partition.
    pub bounds: Bounds,
    /// It does not say so by itself.
    pub is_kafka_silent: bool,
    /// What the store says was acknowledged of it.
    pub offset_max: Option<i64>,
}

impl Desk {
    /// A topic with two records of a key, of versions 1 and 2.
    pub fn new() -> Self {
        let mut desk = Self::of(|_| ());
        desk.produce(Operation::Update, Some(0));
        desk.produce(Operation::Update, Some(1));
        desk
    }

    /// An empty topic, and a replica that is set up in its own way.
    pub fn of(set_up: fn(&mut Knobs)) -> Self {
        let mut dice = Dice::new(1);
        let mut knobs = Rules::calm(&mut dice).knobs;
        knobs.skip_unchanged = false;
        knobs.batch = None;
        knobs.rate_limit = 0.0;
        knobs.is_adaptive = false;
        set_up(&mut knobs);
        let settings = settings::destination(&knobs);
        let mut keys = Topics::default().keys().into_iter();
        let key = keys.find(|key| key.partition.number == 0).unwrap();
        Self {
            engine: Engine::new(Arc::new(settings.clone()), settings::limits(&knobs)),
            partition: key.partition.clone(),
            key,
            topics: Topics::default(),
            dice,
            now: Duration::ZERO,
            flights: vec![],
            settings,
            bounds: Bounds {
                begin: 0,
                committed: None,
            },
            is_kafka_silent: false,
            offset_max: None,
        }
    }

    /// A person changes the settings.
    /// A replica that owns its partition and has read a record of each of so many keys.
    pub fn with_keys(keys: usize, set_up: fn(&mut Knobs)) -> Self {
        let mut desk = Self::of(set_up);
        for key in 0..keys {
            desk.produce_key(&format!("key-{key}"));
        }
        desk.assign();
        desk.load(0);
        for version in 1..=keys {
            desk.read(version);
        }
        desk
    }

    pub fn configure(&mut self, change: fn(&mut Destination)) -> Vec<Action> {
        change(&mut self.settings);
        self.configure_memory(1 << 20)
    }

    /// There is so much memory for records.
    pub fn configure_memory(&mut self, buffer_bytes_max: usize) -> Vec<Action> {
        self.step(Event::Configured {
            settings: Arc::new(self.settings.clone()),
            buffer_bytes_max,
        })
    }

    /// The next version of the row says this.
    pub fn produce(&mut self, operation: Operation, state: Option<i64>) {
        self.topics
            .produce_as(&self.key, operation, state, &mut self.dice);
    }

    /// The record of a version comes once more.
    pub fn publish_again(&mut self, version: usize) {
        let record = self
            .topics
            .record(&self.key.partition, self.offset(version));
        let record = record.unwrap().clone();
        self.topics.append_again(&self.key, record, &mut self.dice);
    }

    /// The source's sequence begins anew after an outage.
    pub fn go_back(&mut self) {
        self.topics.go_back(&mut self.dice);
    }

    pub fn raise_generation(&mut self) {
        self.topics.raise_generation();
    }

    /// What the source's clock shows.
    pub fn source_clock(&mut self, at: Timestamp) {
        self.topics.clock = at;
    }

    /// The next version is of a row of its own.
    pub fn produce_key(&mut self, name: &str) {
        let key = Key {
            name: name.into(),
            ..self.key.clone()
        };
        self.topics
            .produce_as(&key, Operation::Update, Some(0), &mut self.dice);
    }

    /// Time passes.
    pub fn pass(&mut self, time: Duration) -> Vec<Action> {
        self.now += time;
        self.step(Event::Tick)
    }

    /// When it wants to be woken.
    pub fn next_timer(&self) -> Option<Duration> {
        self.engine.next_timer(self.now)
    }

    pub fn hold(&self) -> Option<Hold> {
        self.engine.view(self.now).hold
    }

    pub fn step(&mut self, event: Event) -> Vec<Action> {
        let now = Now {
            monotonic: self.now,
            wall: Timestamp::UNIX_EPOCH,
        };
        let mut actions = vec![];
        self.engine.step(event, now, 1, &mut actions);
        self.engine.step(Event::Tick, now, 2, &mut actions);
        for action in &actions {
            if let Action::Send { request, http } = action {
                self.flights.push((*request, http.clone()));
            }
        }
        let asks = |action: &Action| matches!(action, Action::FindBounds { .. });
        if actions.iter().any(asks) && !self.is_kafka_silent {
            actions.extend(self.tell_bounds());
        }
        actions
    }

    pub fn assign(&mut self) -> Vec<Action> {
        self.step(Event::Assigned {
            partition: self.partition.clone(),
        })
    }

    pub fn lose(&mut self) {
        self.step(Event::Lost {
            partitions: vec![self.partition.clone()],
        });
    }

    pub fn revoke(&mut self) -> Vec<Action> {
        self.step(Event::Revoked {
            partitions: vec![self.partition.clone()],
        })
    }

    pub fn load(&mut self, watermark: u64) -> Vec<Action> {
        self.load_with(watermark, vec![])
    }

    pub fn load_with(&mut self, watermark: u64, parked: Vec<ParkedEntry>) -> Vec<Action> {
        self.note();
        self.load_state(watermark, parked)
    }

    /// The store has not said yet whether the count of partitions changed.
    pub fn load_unnoted(&mut self) -> Vec<Action> {
        self.load_state(0, vec![])
    }

    fn load_state(&mut self, watermark: u64, parked: Vec<ParkedEntry>) -> Vec<Action> {
        self.step(Event::Loaded {
            partition: self.partition.clone(),
            state: PartitionState {
                parked,
                watermark,
                offset_max: self.offset_max,
            },
        })
    }

    /// So many partitions does the topic have.
    pub fn count(&mut self, partitions: i32) -> Vec<Action> {
        let topic = self.partition.topic.clone();
        self.step(Event::PartitionsCounted {
            topics: vec![(topic, partitions)],
        })
    }

    /// The store has noted the count, and knows of no other before.
    fn note(&mut self) -> Vec<Action> {
        let topic = self.partition.topic.clone();
        let change = None;
        self.step(Event::PartitionsNoted { topic, change })
    }

    /// Where undelivered records are that were read from the one partition of this desk.
    pub fn home(&self) -> HomePartition {
        HomePartition {
            number: self.partition.number,
            of: Some(1),
        }
    }

    pub fn tell_bounds(&mut self) -> Vec<Action> {
        self.step(Event::Bounds {
            partition: self.partition.clone(),
            bounds: self.bounds,
        })
    }

    /// The offset of a version.
    pub fn offset(&self, version: usize) -> i64 {
        self.topics.between(&self.key.partition, 0, i64::MAX)[version - 1].offset
    }

    /// Reads the record of a version.
    pub fn read(&mut self, version: usize) -> Vec<Action> {
        let record = self.record(version);
        self.step(Event::Record(record))
    }

    pub fn record(&self, version: usize) -> KafkaRecord {
        let record = self
            .topics
            .record(&self.key.partition, self.offset(version));
        record.unwrap().clone()
    }

    /// What the ledger holds once a version was acknowledged.
    pub fn held(&self, version: usize) -> Held {
        let record = self
            .topics
            .record(&self.key.partition, self.offset(version));
        let record = record.unwrap();
        let raw = Raw {
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            schema_version: record.schema_version.as_deref(),
            traceparent: None,
        };
        let read = Record::decode(&raw, &self.stream()).unwrap();
        Held {
            version: read.version,
            content_hash: read.content_hash,
            is_deleted: read.operation == relay_core::names::Operation::Delete,
            is_suspect: false,
            committed_at: read.committed_at,
        }
    }

    /// A version as the store holds it when it was tried in vain.
    pub fn row(&self, version: usize, state: ParkedState) -> ParkedRow {
        let record = self
            .topics
            .record(&self.key.partition, self.offset(version));
        let record = record.unwrap();
        ParkedRow {
            subject: Subject {
                destination: "billing".into(),
                id: self.key.delivery_id(version as u64),
                record: Some(RecordName {
                    stream: Arc::new(self.stream()),
                    key: self.key.name.as_str().into(),
                    operation: relay_core::names::Operation::Update,
                }),
            },
            record: record.value.as_deref().map(Into::into),
            state,
            attempts: 1,
            charged: 1,
            committed_at: Some(Timestamp::UNIX_EPOCH),
            first_failed_at: Timestamp::UNIX_EPOCH,
            last_failed_at: Timestamp::UNIX_EPOCH,
            last_status: None,
            error_class: Some(ErrorClass::Reset),
            error: "reset".into(),
            coordinates: record.coordinates.clone(),
            home: self.home(),
        }
    }

    /// The same as the owner of the partition remembers it.
    pub fn undelivered(&self, version: usize, state: ParkedState) -> ParkedEntry {
        let row = self.row(version, state);
        ParkedEntry {
            subject: row.subject,
            state,
            attempts: row.attempts,
            charged: row.charged,
            committed_at: row.committed_at,
            first_failed_at: row.first_failed_at,
            coordinates: row.coordinates,
            home: row.home,
        }
    }

    /// The store gives a version back, of whose key nothing was acknowledged.
    pub fn give_back(&mut self, version: usize) -> Vec<Action> {
        self.give_back_row(self.row(version, DUE))
    }

    /// The store gives a version back that nobody was charged for.
    pub fn give_back_uncharged(&mut self, version: usize) -> Vec<Action> {
        self.give_back_charged(version, 0)
    }

    pub fn give_back_charged(&mut self, version: usize, charged: u32) -> Vec<Action> {
        let row = self.row(version, DUE);
        self.give_back_row(ParkedRow { charged, ..row })
    }

    fn give_back_row(&mut self, row: ParkedRow) -> Vec<Action> {
        let mut actions = self.step(Event::ParkedRead {
            asked: vec![row.subject.id],
            rows: vec![row],
        });
        if asks_for_ledger(&actions) {
            actions.extend(self.ledger(None));
        }
        actions
    }

    pub fn ends_of_topics(&self) -> Vec<Partition> {
        self.engine.ends_of_topics(self.now)
    }

    pub fn view(&self) -> View {
        self.engine.view(self.now)
    }

    fn stream(&self) -> Stream {
        Stream::of_topic(&self.partition.topic, "replicates_to.", "billing").unwrap()
    }

    /// The ledger answers.
    pub fn ledger(&mut self, held: Option<Held>) -> Vec<Action> {
        let key = self.key.delivery_id(1).key_hash;
        self.step(Event::LedgerRead {
            partition: self.partition.clone(),
            asked: vec![key],
            found: held.into_iter().map(|held| (key, held)).collect(),
        })
    }

    /// The oldest request, which does not end like others.
    pub fn take_request(&mut self) -> RequestId {
        self.flights.remove(0).0
    }

    /// The oldest request ends.
    pub fn answer(&mut self, end: End) -> Vec<Action> {
        self.answer_after(Duration::ZERO, end)
    }

    /// The oldest request ends; so long it took.
    pub fn answer_after(&mut self, took: Duration, end: End) -> Vec<Action> {
        let (request, http) = self.flights.remove(0);
        let timings = Timings {
            total_ms: took.as_secs_f32() * 1_000.0,
            ..Timings::default()
        };
        let exchange = Exchange { end, timings };
        self.step(Event::Answer {
            request,
            http,
            exchange,
        })
    }

    /// Time passes until what has happened is written, and everything that may be committed is.
    pub fn write(&mut self) -> (Arc<Batch>, Vec<Action>) {
        self.now += Duration::from_secs(1);
        let actions = self.step(Event::Tick);
        let flush = actions.into_iter().find_map(|action| match action {
            Action::Flush { batch, rows } => Some((batch, rows)),
            _ => None,
        });
        let (batch, rows) = flush.expect("there is something to write");
        let mut actions = self.step(Event::Flushed { batch });
        self.now += Duration::from_secs(1);
        actions.extend(self.step(Event::Tick));
        (rows, actions)
    }
}
