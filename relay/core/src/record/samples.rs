//! Records for tests, encoded by prost: another encoder than the one that reads them.

use prost::Message;

use super::{Quarantine, Raw, Record, View};
use crate::names::Stream;
use crate::proto;
use crate::proto::value::Kind;

/// Monolith's vehicles on their way to billing.
pub fn vehicles() -> Stream {
    Stream {
        destination: "billing".into(),
        source: "monolith".into(),
        model: "Vehicle".into(),
    }
}

/// The record of the signature's test vector.
pub fn vehicle() -> proto::Record {
    proto::Record {
        source: "monolith".into(),
        model: "Vehicle".into(),
        key: "42".into(),
        operation: proto::Operation::Update.into(),
        version: 918_273,
        committed_at: Some(proto::Timestamp {
            seconds: 1_795_329_960,
            nanos: 123_456_000,
        }),
        mapping_fingerprint: 0x5f0c_9a1e_7b22_d410,
        backfill_run_id: String::new(),
        fields: vec![
            field("price", Kind::DecimalValue("10.50".into())),
            field("registration", Kind::StringValue("KA-01".into())),
        ],
        origin: String::new(),
    }
}

/// The same with other attributes.
pub fn vehicle_with(fields: Vec<proto::Field>) -> proto::Record {
    proto::Record {
        fields,
        ..vehicle()
    }
}

/// Its deletion.
pub fn deleted() -> proto::Record {
    let mut record = vehicle_with(vec![]);
    record.operation = proto::Operation::Delete.into();
    record
}

pub fn field(name: &str, kind: Kind) -> proto::Field {
    proto::Field {
        name: name.into(),
        value: Some(value(kind)),
        sensitive: false,
        volatile: false,
    }
}

pub fn sensitive(name: &str, kind: Kind) -> proto::Field {
    proto::Field {
        sensitive: true,
        ..field(name, kind)
    }
}

pub fn value(kind: Kind) -> proto::Value {
    proto::Value { kind: Some(kind) }
}

pub fn list(kinds: impl IntoIterator<Item = Kind>) -> Kind {
    Kind::ListValue(proto::List {
        values: kinds.into_iter().map(value).collect(),
    })
}

/// Decodes a record as it would arrive under its own key.
pub fn decode(record: &proto::Record) -> Result<Record, Quarantine> {
    decode_bytes(record.key.as_bytes(), &record.encode_to_vec())
}

/// Decodes a value as it would arrive under this key.
pub fn decode_bytes(key: &[u8], value: &[u8]) -> Result<Record, Quarantine> {
    let raw = Raw {
        key: Some(key),
        value: Some(value),
        schema_version: Some(b"1"),
        traceparent: None,
    };
    Record::decode(&raw, &vehicles())
}

/// The JSON that a consumer receives.
pub fn json(record: &Record) -> String {
    let mut out = Vec::new();
    let stream = vehicles();
    record.write_json(
        &record.delivery_id(&stream),
        &stream,
        View::Consumer,
        &mut out,
    );
    String::from_utf8(out).expect("JSON is UTF-8")
}
