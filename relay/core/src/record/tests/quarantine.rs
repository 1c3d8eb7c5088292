//! Every way in which a record cannot be delivered, with its error.

use prost::Message;

use super::{FIELD_TAG, timestamp, with_raw_entry};
use crate::exchange::ErrorClass;
use crate::names::Operation;
use crate::proto;
use crate::proto::value::Kind;
use crate::record::samples::{decode, decode_bytes, field, list, vehicle, vehicle_with, vehicles};
use crate::record::{Quarantine, Raw, Readable, Record};

/// The bytes of a record whose last attribute is raw bytes.
fn with_raw_field(field: &[u8]) -> Vec<u8> {
    with_raw_entry(FIELD_TAG, field)
}

/// A field named `a` whose value is these bytes.
fn field_of_value(value: &[u8]) -> Vec<u8> {
    let mut field = vec![0x0a, 1, b'a', 0x12, u8::try_from(value.len()).unwrap()];
    field.extend_from_slice(value);
    field
}

fn error(result: Result<Record, Quarantine>) -> String {
    result.unwrap_err().error
}

#[test]
fn a_message_that_is_not_of_our_schema_is_unreadable() {
    let value = vehicle().encode_to_vec();
    let sound = Raw {
        key: Some(b"42"),
        value: Some(&value),
        schema_version: Some(b"1"),
        traceparent: None,
    };
    let table = [
        (
            Raw {
                value: None,
                ..sound
            },
            ErrorClass::NullValue,
            "the message has no value",
        ),
        (
            Raw {
                schema_version: None,
                ..sound
            },
            ErrorClass::Undecodable,
            "the message has no schema-version header",
        ),
        (
            Raw {
                schema_version: Some(b"2"),
                ..sound
            },
            ErrorClass::Undecodable,
            r#"schema-version "2" is not "1""#,
        ),
        (
            Raw { key: None, ..sound },
            ErrorClass::Unmappable,
            "the message key is not the record's",
        ),
        (
            Raw {
                key: Some(b"43"),
                ..sound
            },
            ErrorClass::Unmappable,
            "the message key is not the record's",
        ),
        (
            Raw {
                value: Some(b"poison"),
                ..sound
            },
            ErrorClass::Undecodable,
            "the value is not protobuf: an entry is cut off",
        ),
        (
            Raw {
                value: Some(b""),
                ..sound
            },
            ErrorClass::Undecodable,
            "the key is empty",
        ),
    ];
    for (raw, class, error) in table {
        let expected = Quarantine {
            class,
            error: error.into(),
            readable: None,
        };
        assert_eq!(Record::decode(&raw, &vehicles()).unwrap_err(), expected);
    }
}

#[test]
fn a_record_whose_identity_is_unsound_is_unreadable() {
    let change = |change: fn(&mut proto::Record)| {
        let mut record = vehicle();
        change(&mut record);
        decode(&record).unwrap_err()
    };
    let table = [
        (change(|r| r.key.clear()), "the key is empty"),
        (
            change(|r| r.key = "é".repeat(257)),
            "the key has 514 bytes, more than 512",
        ),
        (
            change(|r| r.key = "a\u{85}".into()),
            "the key has a control character",
        ),
        (
            change(|r| r.version = 0),
            "version 0 is not within 1 and 2^53 - 1",
        ),
        (
            change(|r| r.version = 1 << 53),
            "version 9007199254740992 is not within 1 and 2^53 - 1",
        ),
        (
            change(|r| r.source = "other".into()),
            r#"the record's source is "other", not the topic's"#,
        ),
        (
            change(|r| r.model = "Car".into()),
            r#"the record's model is "Car", not the topic's"#,
        ),
        (change(|r| r.operation = 0), "0 is not an operation"),
        (change(|r| r.operation = 5), "5 is not an operation"),
        (
            change(|r| r.operation = -1),
            "18446744073709551615 is not an operation",
        ),
    ];
    for (quarantine, error) in table {
        assert_eq!(
            (quarantine.error.as_str(), quarantine.readable),
            (error, None)
        );
    }
    let mut longest = vehicle();
    longest.key = "é".repeat(256);
    longest.version = (1 << 53) - 1;
    assert!(decode(&longest).is_ok());
}

#[test]
fn entries_of_the_record_that_contradict_the_schema_are_refused() {
    let with = |entry: &[u8]| {
        let bytes = [&vehicle_with(vec![]).encode_to_vec(), entry].concat();
        error(decode_bytes(b"42", &bytes))
    };
    assert_eq!(with(&[0x28, 1]), "entry 5 of the record comes twice");
    assert_eq!(
        with(&[0x40, 1]),
        "entry 8 of the record has another wire type"
    );
    assert_eq!(
        with(&[0x48, 1]),
        "entry 9 of the record has another wire type"
    );
    assert_eq!(with(b"\x52\x01\xff"), "entry 10 of the record is not UTF-8");
}

/// Undecodable, but the identity can be trusted.
fn assert_readable(quarantine: &Quarantine, error: &str) {
    let readable = Some(Readable {
        key: "42".into(),
        version: 918_273,
        operation: Operation::Update,
        committed_at: quarantine
            .readable
            .as_ref()
            .and_then(|readable| readable.committed_at),
    });
    assert_eq!(quarantine.error, error);
    assert_eq!(quarantine.class, ErrorClass::Undecodable, "{error}");
    assert_eq!(quarantine.readable, readable, "{error}");
}

#[test]
fn a_value_out_of_its_range_is_refused() {
    let kind = |kind| decode(&vehicle_with(vec![field("a", kind)])).unwrap_err();
    let mut deep = Kind::NullValue(true);
    for _ in 0..33 {
        deep = list([deep]);
    }
    let table = [
        (
            kind(Kind::NullValue(false)),
            "attribute \"a\": a null_value is not true",
        ),
        (
            kind(Kind::JsonValue("{\"a\":}".into())),
            "attribute \"a\": a json_value is not JSON",
        ),
        (
            kind(Kind::JsonValue("1 2".into())),
            "attribute \"a\": a json_value is not JSON",
        ),
        (
            kind(Kind::JsonValue(String::new())),
            "attribute \"a\": a json_value is not JSON",
        ),
        (
            kind(list([Kind::JsonValue("nul".into())])),
            "attribute \"a\": a json_value is not JSON",
        ),
        (
            kind(Kind::DateValue(-719_163)),
            "attribute \"a\": -719163 is not a day of the years 1-9999",
        ),
        (
            kind(Kind::DateValue(2_932_897)),
            "attribute \"a\": 2932897 is not a day of the years 1-9999",
        ),
        (
            kind(Kind::TimeOfDayValue(86_400_000_000_000)),
            "attribute \"a\": 86400000000000 is not a nanosecond of a day",
        ),
        (
            kind(Kind::TimestampValue(timestamp(253_402_300_800, 0))),
            "attribute \"a\": a timestamp is malformed or outside the years 1-9999",
        ),
        (
            kind(Kind::TimestampValue(timestamp(0, -1))),
            "attribute \"a\": a timestamp is malformed or outside the years 1-9999",
        ),
        (
            kind(Kind::TimestampValue(timestamp(0, 1_000_000_000))),
            "attribute \"a\": a timestamp is malformed or outside the years 1-9999",
        ),
        (
            kind(deep),
            "attribute \"a\": lists are nested more than 32 deep",
        ),
    ];
    for (quarantine, error) in table {
        assert_readable(&quarantine, error);
    }
}

#[test]
fn attributes_that_contradict_the_schema_are_refused() {
    let with = |fields| decode(&vehicle_with(fields)).unwrap_err();
    let raw = |field: &[u8]| decode_bytes(b"42", &with_raw_field(field)).unwrap_err();
    let value = |value: &[u8]| raw(&field_of_value(value));
    let table = [
        (value(b""), "attribute \"a\": a value has no kind"),
        (
            value(&[0x62, 2, 0x0a, 0]),
            "attribute \"a\": a value has no kind",
        ),
        (
            value(&[0x62, 2, 0x12, 0]),
            "attribute \"a\": a list holds something other than values: entry 2",
        ),
        (
            value(&[0x08, 1, 0x10, 1]),
            "attribute \"a\": a value has more than one kind",
        ),
        (
            value(&[0x68, 1]),
            "attribute \"a\": 13 is not a kind of value",
        ),
        (
            value(&[0x12, 0]),
            "attribute \"a\": the value of kind 2 has another wire type",
        ),
        (
            value(b"\x22\x01\xff"),
            "attribute \"a\": a text is not UTF-8",
        ),
        (value(&[0x22, 9]), "attribute \"a\": an entry is cut off"),
        (
            raw(&[0x0a, 1, b'a']),
            "attribute \"a\": a value has no kind",
        ),
        (raw(&[0x12, 2, 0x08, 1]), "an attribute has no name"),
        (
            raw(b"\x0a\x01\xff\x12\x02\x08\x01"),
            "an attribute's name is not UTF-8",
        ),
        (
            raw(&[0x0a, 1, b'a', 0x0a, 1, b'b']),
            "entry 1 of an attribute comes twice",
        ),
        (raw(&[0x28, 1]), "entry 5 of an attribute is unknown"),
        (
            raw(&[0x1a, 0]),
            "entry 3 of an attribute has another wire type",
        ),
        (raw(&[0x0a]), "an entry is cut off"),
        (
            with(
                ["b", "a", "b"]
                    .map(|name| field(name, Kind::NullValue(true)))
                    .to_vec(),
            ),
            "attribute \"b\" comes twice",
        ),
    ];
    for (quarantine, error) in table {
        assert_readable(&quarantine, error);
    }
}

#[test]
fn a_time_of_commit_is_required_and_in_range() {
    let at = |committed_at| {
        let mut record = vehicle();
        record.committed_at = committed_at;
        error(decode(&record))
    };
    assert_eq!(at(None), "committed_at is missing");
    assert_eq!(
        at(Some(timestamp(i64::MAX, 0))),
        "committed_at is malformed or out of range"
    );
    assert_eq!(
        at(Some(timestamp(0, i32::MAX))),
        "committed_at is malformed or out of range"
    );
}

#[test]
fn a_delete_with_attributes_is_refused() {
    let mut record = vehicle();
    record.operation = proto::Operation::Delete.into();
    assert_eq!(error(decode(&record)), "a delete has attributes");
}
