//! Two topics, each a model with a route of its own, and what their producer writes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use prost::Message;
use relay_core::engine::KafkaRecord;
use relay_core::names::{Coordinates, DeliveryId, KeyHash, Partition, Stream};
use relay_core::partitioner::partition_of;
use relay_core::proto;
use relay_core::rows::CountChange;
use relay_core::time::Timestamp;

use super::dice::Dice;

/// Model, partitions, partitions once it has got more, keys.
const MODELS: [(&str, i32, i32, usize); 2] = [("Vehicle", 3, 5, 8), ("Driver", 2, 3, 4)];

/// What cannot be decoded stays undelivered for ever: less than the smallest `parked_max`, which would hold everything.
const RUBBISH_MAX: usize = 4;

/// What a row says; none once it is deleted. A version says the same however often it is published.
type State = Option<i64>;

/// So few that rows often change back.
const STATES: usize = 2;

/// Where the numbers of a generation begin: below it there is room for those of a sequence that begins anew.
const NUMBERS_BEGIN: u64 = 100_000;

/// How much time passes before a source's numbers begin anew, in seconds.
const OUTAGE: i64 = 3_600;

/// Less than this is no sign that versions went back.
const CLEARLY: Duration = Duration::from_secs(600);

/// A row of the source, and where its records go.
#[derive(Debug, Clone)]
pub struct Key {
    pub name: String,
    pub model: &'static str,
    pub partition: Partition,
}

impl Key {
    pub fn delivery_id(&self, version: u64) -> DeliveryId {
        let stream = Stream::of_topic(&self.partition.topic, "replicates_to.", "billing").unwrap();
        DeliveryId {
            key_hash: KeyHash::of_key(&stream, &self.name),
            version,
        }
    }
}

/// Everything that was produced.
#[derive(Default)]
pub struct Topics {
    records: BTreeMap<Partition, Vec<KafkaRecord>>,
    /// The next offset.
    ends: BTreeMap<Partition, i64>,
    /// By key and version.
    published: BTreeMap<String, BTreeMap<u64, State>>,
    /// Written, and to be published after something newer.
    late: Vec<(Key, u64)>,
    rubbish: BTreeSet<Coordinates>,
    /// What was published more than once.
    repeated: Vec<DeliveryId>,
    ever_repeated: BTreeSet<DeliveryId>,
    versions: u64,
    /// When each version was committed.
    committed_at: BTreeMap<u64, Timestamp>,
    /// The source's clock.
    pub clock: Timestamp,
    /// By how many seconds the world is older than its play.
    pub outages: i64,
    /// The first offset there is.
    begins: BTreeMap<Partition, i64>,
    expired: BTreeSet<Coordinates>,
    /// Keys and versions of what has expired.
    gone: BTreeSet<(String, u64)>,
    generation: u64,
    has_gone_back: bool,
    /// The models whose topics have got more partitions, and when.
    grown: BTreeMap<&'static str, Duration>,
}

impl Topics {
    /// All keys, each where its next record goes.
    pub fn keys(&self) -> Vec<Key> {
        let keys_of = |(model, .., keys): (&'static str, i32, i32, usize)| {
            let count = self.count_of(model);
            (0..keys).map(move |number| {
                let name = format!("{}-{number}", model.to_lowercase());
                let number = partition_of(name.as_bytes(), count);
                Key {
                    partition: partition(model, number),
                    name,
                    model,
                }
            })
        };
        MODELS.into_iter().flat_map(keys_of).collect()
    }

    pub fn partitions(&self) -> Vec<Partition> {
        let of = |(model, ..): (&'static str, i32, i32, usize)| {
            (0..self.count_of(model)).map(move |number| partition(model, number))
        };
        MODELS.into_iter().flat_map(of).collect()
    }

    /// Those of before any topic got more: what a replica may take for all of them.
    pub fn partitions_before() -> Vec<Partition> {
        Self::default().partitions()
    }

    fn count_of(&self, wanted: &str) -> i32 {
        let (model, first, then, _) = MODELS
            .into_iter()
            .find(|(model, ..)| *model == wanted)
            .unwrap();
        if self.grown.contains_key(model) {
            then
        } else {
            first
        }
    }

    /// A topic gets more partitions; keys move to them. False when it has them already.
    pub fn grow(&mut self, model: &'static str, now: Duration) -> bool {
        let is_first = !self.grown.contains_key(model);
        self.grown.entry(model).or_insert(now);
        is_first
    }

    /// Each topic, and how many partitions it has.
    pub fn counts(&self) -> Vec<(Arc<str>, i32)> {
        let of = |(model, ..): (&'static str, i32, i32, usize)| {
            (partition(model, 0).topic, self.count_of(model))
        };
        MODELS.into_iter().map(of).collect()
    }

    /// Each topic, and since when it has more partitions.
    pub fn changes(&self, now: Duration) -> Vec<(Arc<str>, Option<CountChange>)> {
        let of = |(model, before, ..): (&'static str, i32, i32, usize)| {
            let change = self.grown.get(model).map(|at| CountChange {
                before,
                age: now.saturating_sub(*at),
            });
            (partition(model, 0).topic, change)
        };
        MODELS.into_iter().map(of).collect()
    }

    /// Where a key was before its topic got more partitions, if that is somewhere else.
    pub fn was_at(key: &Key) -> Option<Partition> {
        let (_, before, ..) = MODELS
            .into_iter()
            .find(|(model, ..)| *model == key.model)
            .unwrap();
        let number = partition_of(key.name.as_bytes(), before);
        (number != key.partition.number).then(|| partition(key.model, number))
    }

    /// Produces a record: mostly a new version, sometimes an old one again, sometimes a newer one before an older one.
    pub fn produce(&mut self, dice: &mut Dice, rubbish_percent: usize) {
        let key = dice.pick(&self.keys());
        if dice.happens(rubbish_percent) && self.rubbish.len() < RUBBISH_MAX {
            return self.produce_rubbish(&key, dice);
        }
        let published = self.published.get(&key.name);
        let published: Vec<_> = published.into_iter().flatten().map(|(v, _)| *v).collect();
        match dice.below(10) {
            0 if !published.is_empty() => {
                let again = dice.pick(&published);
                self.repeated.push(key.delivery_id(again));
                self.publish(&key, again, dice);
            }
            1 => {
                let late = self.draw();
                self.late.push((key.clone(), late));
                self.produce_new(&key, dice);
            }
            2 | 3 if !self.late.is_empty() => self.publish_late(dice),
            _ => self.produce_new(&key, dice),
        }
    }

    pub fn produce_new(&mut self, key: &Key, dice: &mut Dice) {
        let version = self.draw();
        self.publish(key, version, dice);
    }

    fn draw(&mut self) -> u64 {
        self.versions += 1;
        self.committed_at.insert(self.versions, self.clock);
        self.versions
    }

    /// The numbers of a source that has been in use for a while.
    pub fn in_use() -> Self {
        Self {
            versions: NUMBERS_BEGIN,
            ..Self::default()
        }
    }

    /// After an outage, before which everything was published, the source's numbers begin anew, below those of before.
    pub fn go_back(&mut self, dice: &mut Dice) {
        if !self.has_gone_back {
            self.publish_all_late(dice);
            self.has_gone_back = true;
            self.outages += OUTAGE;
            self.versions = self.generation << 48;
        }
    }

    /// From now on versions are above all of before.
    pub fn raise_generation(&mut self) {
        if self.has_gone_back {
            self.has_gone_back = false;
            self.generation += 1;
            self.versions = self.generation << 48 | NUMBERS_BEGIN;
        }
    }

    pub fn committed_at(&self, version: u64) -> Option<Timestamp> {
        self.committed_at.get(&version).copied()
    }

    /// Whether a version that is not sent is made stale by another that says no less of the row.
    pub fn is_overtaken(&self, key: &str, version: u64) -> bool {
        let Some(committed_at) = self.committed_at(version) else {
            return true;
        };
        let says_no_less = |other: &u64| {
            let other = self.committed_at(*other);
            other.is_none_or(|other| other.saturating_add(CLEARLY).unwrap() >= committed_at)
        };
        let published = self.published.get(key);
        let mut newer = published
            .into_iter()
            .flat_map(|versions| versions.range(version + 1..));
        newer.any(|(other, _)| says_no_less(other))
    }

    /// What was held back: once the producer is done nothing is.
    pub fn publish_all_late(&mut self, dice: &mut Dice) {
        while !self.late.is_empty() {
            self.publish_late(dice);
        }
    }

    fn publish_late(&mut self, dice: &mut Dice) {
        let index = dice.below(self.late.len());
        let (key, version) = self.late.swap_remove(index);
        self.publish(&key, version, dice);
    }

    fn publish(&mut self, key: &Key, version: u64, dice: &mut Dice) {
        let drawn = if dice.below(8) == 0 {
            None
        } else {
            i64::try_from(dice.below(STATES)).ok()
        };
        let versions = self.published.entry(key.name.clone()).or_default();
        let state = *versions.entry(version).or_insert(drawn);
        let operation = match dice.below(7) {
            _ if state.is_none() => proto::Operation::Delete,
            1 => proto::Operation::Snapshot,
            2 => proto::Operation::Create,
            _ => proto::Operation::Update,
        };
        self.publish_as(key, version, operation, state, dice);
    }

    /// Produces a new version of a row that says this.
    pub fn produce_as(
        &mut self,
        key: &Key,
        operation: proto::Operation,
        state: State,
        dice: &mut Dice,
    ) {
        let version = self.draw();
        self.publish_as(key, version, operation, state, dice);
    }

    fn publish_as(
        &mut self,
        key: &Key,
        version: u64,
        operation: proto::Operation,
        state: State,
        dice: &mut Dice,
    ) {
        let field = |state| proto::Field {
            name: "state".into(),
            value: Some(proto::Value {
                kind: Some(proto::value::Kind::Int64Value(state)),
            }),
            ..proto::Field::default()
        };
        let committed_at = self.committed_at[&version];
        let message = proto::Record {
            source: "monolith".into(),
            model: key.model.into(),
            key: key.name.clone(),
            operation: operation.into(),
            version,
            committed_at: Some(proto::Timestamp {
                seconds: committed_at.as_second(),
                nanos: committed_at.subsec_nanosecond(),
            }),
            fields: state.into_iter().map(field).collect(),
            ..proto::Record::default()
        };
        self.append(key, Some(message.encode_to_vec()), dice);
    }

    pub fn append_again(&mut self, key: &Key, record: KafkaRecord, dice: &mut Dice) {
        self.append(key, record.value, dice);
    }

    fn produce_rubbish(&mut self, key: &Key, dice: &mut Dice) {
        let value = dice.pick(&[None, Some(vec![0xff; 3]), Some(vec![])]);
        let at = self.append(key, value, dice);
        self.rubbish.insert(at);
    }

    /// Appends to the log, sometimes after a transaction marker or aborted records, which leave a gap.
    fn append(&mut self, key: &Key, value: Option<Vec<u8>>, dice: &mut Dice) -> Coordinates {
        let gap = if dice.happens(20) {
            1 + dice.below(3)
        } else {
            0
        };
        let end = self.ends.entry(key.partition.clone()).or_default();
        let offset = *end + i64::try_from(gap).unwrap();
        *end = offset + 1;
        let coordinates = Coordinates {
            topic: key.partition.topic.clone(),
            partition: key.partition.number,
            offset,
        };
        let record = KafkaRecord {
            coordinates: coordinates.clone(),
            timestamp: Timestamp::UNIX_EPOCH,
            key: Some(key.name.as_bytes().to_vec()),
            value,
            schema_version: Some(b"1".to_vec()),
            traceparent: None,
        };
        self.records
            .entry(key.partition.clone())
            .or_default()
            .push(record);
        coordinates
    }

    /// The oldest records of a partition expire.
    pub fn expire(&mut self, partition: &Partition, dice: &mut Dice) {
        let Some(records) = self.records.get_mut(partition) else {
            return;
        };
        let count = dice.below(records.len() + 1);
        let gone: Vec<_> = records.drain(..count).collect();
        let Some(last) = gone.last() else { return };
        // Markers may be all that is left before the next one.
        let begin = match records.first() {
            Some(next) if dice.happens(50) => next.coordinates.offset,
            _ => last.coordinates.offset + 1,
        };
        self.begins.insert(partition.clone(), begin);
        for record in gone {
            self.expired.insert(record.coordinates);
            self.forget_version(&record.value.unwrap_or_default());
        }
    }

    /// Its consumer need not have what it can have no more.
    fn forget_version(&mut self, value: &[u8]) {
        if let Ok(read) = proto::Record::decode(value) {
            self.gone.insert((read.key, read.version));
        }
    }

    pub fn is_empty(&self, partition: &Partition) -> bool {
        self.records.get(partition).is_none_or(Vec::is_empty)
    }

    pub fn begin(&self, partition: &Partition) -> i64 {
        self.begins.get(partition).copied().unwrap_or(0)
    }

    /// What has expired between two positions.
    pub fn expired_between(&self, partition: &Partition, from: i64, to: i64) -> Vec<Coordinates> {
        let is_between = |at: &&Coordinates| {
            at.topic == partition.topic
                && at.partition == partition.number
                && (from..to).contains(&at.offset)
        };
        self.expired.iter().filter(is_between).cloned().collect()
    }

    /// The first record at or after a position.
    pub fn record(&self, partition: &Partition, position: i64) -> Option<&KafkaRecord> {
        let records = self.records.get(partition)?;
        records.get(records.partition_point(|record| record.coordinates.offset < position))
    }

    /// The records from one position to another.
    pub fn between(&self, partition: &Partition, from: i64, to: i64) -> Vec<Coordinates> {
        let records = self.records.get(partition).map_or(&[][..], Vec::as_slice);
        let after = &records[records.partition_point(|record| record.coordinates.offset < from)..];
        after
            .iter()
            .map(|record| record.coordinates.clone())
            .take_while(|at| at.offset < to)
            .collect()
    }

    pub fn end(&self, partition: &Partition) -> i64 {
        self.ends.get(partition).copied().unwrap_or(0)
    }

    pub fn take_repeated(&mut self) -> Vec<DeliveryId> {
        self.ever_repeated.extend(&self.repeated);
        std::mem::take(&mut self.repeated)
    }

    pub fn was_repeated(&self, id: DeliveryId) -> bool {
        self.ever_repeated.contains(&id)
    }

    pub fn is_rubbish(&self, at: &Coordinates) -> bool {
        self.rubbish.contains(at)
    }

    /// Whether two versions of a key say the same of its row.
    pub fn are_same(&self, key: &str, one: u64, other: u64) -> bool {
        let state = |version| self.published.get(key)?.get(&version).copied();
        state(one).is_some() && state(one) == state(other)
    }

    /// The newest version of every key that has one which did not expire.
    pub fn newest_versions(&self) -> Vec<(Key, u64)> {
        let newest = |key: Key| {
            let (version, _) = self.published.get(&key.name)?.last_key_value()?;
            let newest = (key.name.clone(), *version);
            (!self.gone.contains(&newest)).then_some((key, newest.1))
        };
        self.keys().into_iter().filter_map(newest).collect()
    }
}

/// A record as the trace shows it.
pub fn describe(record: &KafkaRecord) -> String {
    let read = record
        .value
        .as_deref()
        .and_then(|value| proto::Record::decode(value).ok());
    let key = String::from_utf8_lossy(record.key.as_deref().unwrap_or_default());
    let version = read.map_or(0, |read| read.version);
    format!("{key} v{version} at {}", record.coordinates.offset)
}

fn partition(model: &str, number: i32) -> Partition {
    Partition {
        topic: Arc::from(format!("replicates_to.monolith.billing.{model}")),
        number,
    }
}
