//! A topic of two partitions.

use std::collections::BTreeMap;
use std::sync::Arc;

use prost::Message;
use relay_core::engine::KafkaRecord;
use relay_core::names::{Coordinates, Partition};
use relay_core::proto;
use relay_core::time::Timestamp;

const TOPIC: &str = "replicates_to.monolith.billing.Vehicle";
const KEYS: usize = 6;

/// What was produced, and what the group has committed.
#[derive(Default)]
pub struct Topic {
    records: [Vec<KafkaRecord>; 2],
    committed: [i64; 2],
    newest: BTreeMap<String, u64>,
    versions: u64,
}

impl Topic {
    pub fn partitions() -> Vec<Partition> {
        (0..2)
            .map(|number| Partition {
                topic: TOPIC.into(),
                number,
            })
            .collect()
    }

    /// Produces a record: mostly a new version, sometimes an old one again, sometimes with a gap in the offsets.
    pub fn produce(&mut self, detail: usize) {
        let key = detail % KEYS;
        let partition = key % 2;
        let version = match detail / KEYS % 8 {
            0 if self.versions > 3 => self.versions - 2,
            1 if self.versions > 0 => self.versions,
            _ => self.versions + 1,
        };
        self.versions = self.versions.max(version);
        let key = key.to_string();
        let newest = self.newest.entry(key.clone()).or_default();
        *newest = version.max(*newest);
        let gap = i64::from(detail.is_multiple_of(5));
        let offset = self.end_of(partition) + gap;
        let record = record(partition, offset, &key, version);
        self.records[partition].push(record);
    }

    fn end_of(&self, partition: usize) -> i64 {
        self.records[partition]
            .last()
            .map_or(0, |record| record.coordinates.offset + 1)
    }

    fn index(partition: &Partition) -> usize {
        usize::try_from(partition.number).unwrap()
    }

    pub fn has(&self, partition: &Partition, position: i64) -> bool {
        position < self.end(partition)
    }

    /// The first record at or after a position.
    pub fn record(&self, partition: &Partition, position: i64) -> KafkaRecord {
        let records = &self.records[Self::index(partition)];
        let index = records.partition_point(|record| record.coordinates.offset < position);
        records[index].clone()
    }

    pub fn end(&self, partition: &Partition) -> i64 {
        self.end_of(Self::index(partition))
    }

    pub fn offsets_below(&self, partition: &Partition, end: i64) -> impl Iterator<Item = i64> {
        let records = &self.records[Self::index(partition)];
        records
            .iter()
            .map(|record| record.coordinates.offset)
            .filter(move |offset| *offset < end)
    }

    pub fn committed(&self, partition: &Partition) -> i64 {
        self.committed[Self::index(partition)]
    }

    pub fn commit(&mut self, partition: &Partition, offset: i64) {
        self.committed[Self::index(partition)] = offset;
    }

    pub fn newest_versions(&self) -> BTreeMap<String, u64> {
        self.newest.clone()
    }
}

fn record(partition: usize, offset: i64, key: &str, version: u64) -> KafkaRecord {
    let message = proto::Record {
        source: "monolith".into(),
        model: "Vehicle".into(),
        key: key.into(),
        operation: proto::Operation::Update.into(),
        version,
        committed_at: Some(proto::Timestamp {
            seconds: 1_795_000_000,
            nanos: 0,
        }),
        ..proto::Record::default()
    };
    KafkaRecord {
        coordinates: Coordinates {
            topic: Arc::from(TOPIC),
            partition: i32::try_from(partition).unwrap(),
            offset,
        },
        timestamp: Timestamp::UNIX_EPOCH,
        key: Some(key.as_bytes().to_vec()),
        value: Some(message.encode_to_vec()),
        schema_version: Some(b"1".to_vec()),
        traceparent: None,
    }
}
