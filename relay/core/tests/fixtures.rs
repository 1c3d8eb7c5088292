//! The golden records of `proto/fixtures`: bytes that the gem's encoder makes, and what the relay must make of them.

use std::path::{Path, PathBuf};

use prost::Message;
use relay_core::names::{ContentHash, Stream};
use relay_core::proto;
use relay_core::record::{Raw, Record, View};
use serde_json::Value;

/// A golden record, read.
struct Fixture {
    name: String,
    bytes: Vec<u8>,
    json: String,
    stream: Stream,
    key: String,
    content_hash: String,
    delivery_id: String,
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto/fixtures")
}

fn fixtures() -> Vec<Fixture> {
    let read = |name: &str| {
        let path = directory().join(name);
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let index: Vec<Value> = serde_json::from_slice(&read("index.json")).unwrap();
    let text = |value: &Value, name: &str| value[name].as_str().unwrap().to_owned();
    index
        .iter()
        .map(|entry| {
            let bytes = read(&text(entry, "bin"));
            let json = String::from_utf8(read(&text(entry, "json"))).unwrap();
            let record = proto::Record::decode(&*bytes).unwrap();
            Fixture {
                name: text(entry, "name"),
                stream: Stream {
                    destination: text(entry, "destination").into(),
                    source: record.source.into(),
                    model: record.model.into(),
                },
                key: record.key,
                content_hash: text(entry, "content_hash"),
                delivery_id: text(entry, "delivery_id"),
                bytes,
                json,
            }
        })
        .collect()
}

fn decode(fixture: &Fixture) -> Record {
    decode_bytes(fixture, &fixture.bytes)
}

fn decode_bytes(fixture: &Fixture, bytes: &[u8]) -> Record {
    let raw = Raw {
        key: Some(fixture.key.as_bytes()),
        value: Some(bytes),
        schema_version: Some(b"1"),
        traceparent: None,
    };
    Record::decode(&raw, &fixture.stream)
        .unwrap_or_else(|quarantine| panic!("{}: {}", fixture.name, quarantine.error))
}

fn json(fixture: &Fixture, record: &Record) -> String {
    let mut json = Vec::new();
    record.write_json(
        &record.delivery_id(&fixture.stream),
        &fixture.stream,
        View::Consumer,
        &mut json,
    );
    String::from_utf8(json).unwrap()
}

#[test]
fn there_are_enough_of_them() {
    assert!(fixtures().len() >= 25);
}

#[test]
fn every_golden_record_has_its_json_byte_for_byte() {
    for fixture in fixtures() {
        let json = json(&fixture, &decode(&fixture));
        // Not by assert_eq: one of them is 900 KB long.
        assert!(json == fixture.json, "{}: {:.2000}", fixture.name, json);
    }
}

#[test]
fn every_golden_record_has_its_delivery_id_and_content_hash() {
    for fixture in fixtures() {
        let record = decode(&fixture);
        let ContentHash(hash) = record.content_hash;
        let hash = format!("{:032x}", u128::from_be_bytes(hash));
        assert_eq!(hash, fixture.content_hash, "{}", fixture.name);
        let id = record.delivery_id(&fixture.stream).to_string();
        assert_eq!(id, fixture.delivery_id, "{}", fixture.name);
    }
}

#[test]
fn a_golden_record_is_masked_as_if_it_had_asterisks_for_its_sensitive_values() {
    let mut sensitive_fields = 0;
    for fixture in fixtures() {
        let record = decode(&fixture);
        let id = record.delivery_id(&fixture.stream);
        let mut masked = Vec::new();
        record.write_json(&id, &fixture.stream, View::Log { mask: &[] }, &mut masked);

        let mut replaced = proto::Record::decode(&*fixture.bytes).unwrap();
        for field in replaced.fields.iter_mut().filter(|field| field.sensitive) {
            sensitive_fields += 1;
            let kind = Some(proto::value::Kind::StringValue("***".into()));
            field.value = Some(proto::Value { kind });
        }
        let replaced = decode_bytes(&fixture, &replaced.encode_to_vec());
        let is_masked = masked == json(&fixture, &replaced).into_bytes();
        assert!(is_masked, "{}", fixture.name);
    }
    assert!(sensitive_fields > 0);
}
