//! A record of Kafka: it can be delivered whole, or it is quarantined with a reason.

use prost::Message as _;
use relay_core::names::{Operation, Stream};
use relay_core::proto;
use relay_core::record::{Raw, Record, View};
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

/// The value of a message; its key and its topic are what the value says they are, where that can be read.
pub fn feed(value: &[u8]) {
    let Some((record, stream)) = decode(value) else {
        return;
    };
    let mut json = Vec::new();
    record.write_json(
        &record.delivery_id(&stream),
        &stream,
        View::Consumer,
        &mut json,
    );
    serde_json::from_slice::<IgnoredAny>(&json).expect("a consumer gets JSON");
    let said = proto::Record::decode(value).expect("what was taken is a record");
    assert_eq!((&*record.key, record.version), (&*said.key, said.version));
    // JSON of the application's own may hold numbers that this reader has no room for.
    if let Ok(json) = serde_json::from_slice::<Value>(&json) {
        assert_eq!(json["key"], *record.key);
        assert_eq!(json["version"], record.version);
        assert_eq!(json["operation"], record.operation.as_str());
        let is_delete = record.operation == Operation::Delete;
        assert_eq!(json["attributes"].is_null(), is_delete);
        let attributes = json["attributes"].as_object().map_or(0, Map::len);
        assert_eq!(attributes, said.fields.len(), "every attribute is sent");
    }

    let (again, _) = decode(record.raw()).expect("what is parked can be read again");
    assert_eq!(again.content_hash, record.content_hash);
}

/// The record, and the stream in whose topic it was found.
pub fn decode(value: &[u8]) -> Option<(Record, Stream)> {
    let said = proto::Record::decode(value).unwrap_or_default();
    let stream = stream_of(&said);
    let raw = Raw {
        key: Some(said.key.as_bytes()),
        value: Some(value),
        schema_version: Some(b"1"),
        traceparent: None,
    };
    match Record::decode(&raw, &stream) {
        Ok(record) => Some((record, stream)),
        Err(quarantine) => {
            assert!(!quarantine.error.is_empty(), "quarantined without a reason");
            None
        }
    }
}

/// That of the topic which the record names, where the relay would subscribe to it; else another.
fn stream_of(said: &proto::Record) -> Stream {
    let is_name = |name: &str| {
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        name.starts_with(|first: char| first.is_ascii_alphabetic()) && name.bytes().all(is_part)
    };
    let model = said.model.replace("::", "-");
    let topic = if is_name(&said.source) && is_name(&model) {
        format!("{}.billing.{model}", said.source)
    } else {
        "monolith.billing.Vehicle".to_owned()
    };
    Stream::of_topic(&topic, "", "billing").expect("a topic of the destination")
}
