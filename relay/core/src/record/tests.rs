use prost::Message;

use super::samples::*;
use super::*;
use crate::proto;
use crate::proto::value::Kind;

fn attributes(fields: Vec<proto::Field>) -> String {
    let json = json(&decode(&vehicle_with(fields)).unwrap());
    let (_, attributes) = json.split_once("\"attributes\":").unwrap();
    attributes.strip_suffix('}').unwrap().to_owned()
}

fn one(kind: Kind) -> String {
    let shown = attributes(vec![field("a", kind)]);
    let shown = shown.strip_prefix("{\"a\":").unwrap();
    shown.strip_suffix('}').unwrap().to_owned()
}

fn timestamp(seconds: i64, nanos: i32) -> proto::Timestamp {
    proto::Timestamp { seconds, nanos }
}

const FIELD_TAG: u8 = 9 << 3 | 2;

fn with_raw_entry(tag: u8, message: &[u8]) -> Vec<u8> {
    let mut bytes = vehicle_with(vec![]).encode_to_vec();
    bytes.extend([tag, u8::try_from(message.len()).unwrap()]);
    bytes.extend_from_slice(message);
    bytes
}

#[test]
fn the_content_hash_of_the_test_vector_is_met() {
    let ContentHash(hash) = decode(&vehicle()).unwrap().content_hash;
    assert_eq!(
        u128::from_be_bytes(hash),
        0xa19a_9443_3086_aa7b_8a3a_b252_1b0e_bd0c
    );
}

#[test]
fn every_kind_of_value_has_its_json() {
    let table = [
        (Kind::NullValue(true), "null"),
        (Kind::BoolValue(true), "true"),
        (Kind::BoolValue(false), "false"),
        (Kind::Int64Value(i64::MIN), "-9223372036854775808"),
        (Kind::Int64Value(i64::MAX), "9223372036854775807"),
        (Kind::StringValue(String::new()), r#""""#),
        (
            Kind::StringValue("\"\\/\u{8}\u{c}\n\r\t\u{1f}\u{7f}é\u{2028}🚗".into()),
            "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u001f\u{7f}é\u{2028}🚗\"",
        ),
        (Kind::BytesValue(vec![]), r#""""#),
        (Kind::BytesValue(vec![0xff, 0xfe]), r#""//4=""#),
        (
            Kind::DecimalValue("18446744073709551616.10".into()),
            r#""18446744073709551616.10""#,
        ),
        (
            Kind::TimestampValue(timestamp(-1, 1)),
            r#""1969-12-31T23:59:59.000000001Z""#,
        ),
        (
            Kind::TimestampValue(timestamp(0, 0)),
            r#""1970-01-01T00:00:00.000000Z""#,
        ),
        (Kind::DateValue(-719_162), r#""0001-01-01""#),
        (Kind::DateValue(20_779), r#""2026-11-22""#),
        (
            Kind::TimeOfDayValue(24_360_123_456_000),
            r#""06:46:00.123456""#,
        ),
        (Kind::DoubleValue(1.0), "1.0"),
        (Kind::DoubleValue(-0.0), "-0.0"),
        (Kind::DoubleValue(0.1), "0.1"),
        (Kind::DoubleValue(f64::NAN), r#""NaN""#),
        (Kind::DoubleValue(f64::INFINITY), r#""Infinity""#),
        (Kind::DoubleValue(f64::NEG_INFINITY), r#""-Infinity""#),
        (
            Kind::JsonValue("{ \"b\": 1.10, \"a\": [1e400] }".into()),
            "{ \"b\": 1.10, \"a\": [1e400] }",
        ),
        (
            Kind::JsonValue(r#" ["\ud800", "\u0000", {"a": 1, "a": 2}] "#.into()),
            r#" ["\ud800", "\u0000", {"a": 1, "a": 2}] "#,
        ),
        (list([]), "[]"),
        (
            list([
                Kind::Int64Value(1),
                list([Kind::NullValue(true)]),
                Kind::StringValue("x".into()),
            ]),
            r#"[1,[null],"x"]"#,
        ),
    ];
    for (kind, expected) in table {
        assert_eq!(one(kind.clone()), expected, "{kind:?}");
    }
}

#[test]
fn bytes_longer_than_a_slice_of_the_encoder_are_padded_once() {
    use base64::Engine;
    for length in [767, 768, 769, 770, 5_000] {
        let bytes: Vec<u8> = (0..=255).cycle().take(length).collect();
        let expected = base64::engine::general_purpose::STANDARD.encode(&bytes);
        assert_eq!(one(Kind::BytesValue(bytes)), format!("\"{expected}\""));
    }
}

#[test]
fn a_delete_has_null_for_attributes_and_a_record_without_any_an_empty_object() {
    let mut delete = vehicle_with(vec![]);
    assert_eq!(attributes(vec![]), "{}");
    delete.operation = proto::Operation::Delete.into();
    assert!(json(&decode(&delete).unwrap()).ends_with(r#""operation":"delete","version":918273,"committed_at":"2026-11-22T06:46:00.123456Z","attributes":null}"#));
}

#[test]
fn attributes_are_sorted_by_the_bytes_of_their_names_whatever_the_encoder_did() {
    let fields = ["b", "é", "a", "B"].map(|name| field(name, Kind::BoolValue(true)));
    assert_eq!(
        attributes(fields.to_vec()),
        r#"{"B":true,"a":true,"b":true,"é":true}"#
    );
}

#[test]
fn a_time_of_commit_before_1970_is_shown() {
    let mut record = vehicle();
    record.committed_at = Some(timestamp(-1, 500_000_000));
    assert!(
        json(&decode(&record).unwrap()).contains(r#""committed_at":"1969-12-31T23:59:59.500000Z""#)
    );
}

#[test]
fn volatile_attributes_are_sent_but_not_hashed() {
    let age = |years| proto::Field {
        volatile: true,
        ..field("age", Kind::Int64Value(years))
    };
    let with = |age: proto::Field, plate: &str| {
        decode(&vehicle_with(vec![
            age,
            field("plate", Kind::StringValue(plate.into())),
        ]))
        .unwrap()
    };
    let first = with(age(3), "KA-01");
    assert!(json(&first).contains(r#""age":3"#));
    assert_eq!(first.content_hash, with(age(4), "KA-01").content_hash);
    assert_ne!(first.content_hash, with(age(3), "KA-02").content_hash);
}

#[test]
fn the_content_hash_is_over_the_bytes_as_they_stand() {
    // The length 5 of a field in two bytes: no encoder of ours, still the same field.
    let mut long = vehicle_with(vec![]).encode_to_vec();
    let mut short = long.clone();
    let field = [0x0a, 1, b'a', 0x12, 2, 0x10, 1];
    short.extend([FIELD_TAG, 7]);
    short.extend(field);
    long.extend([FIELD_TAG, 0x87, 0]);
    long.extend(field);
    let (short, long) = (
        decode_bytes(b"42", &short).unwrap(),
        decode_bytes(b"42", &long).unwrap(),
    );
    assert_eq!(json(&short), json(&long));
    assert_ne!(short.content_hash, long.content_hash);
}

#[test]
fn the_head_is_read() {
    let mut sent = vehicle();
    sent.operation = proto::Operation::Snapshot.into();
    sent.backfill_run_id = "12".into();
    sent.origin = "other".into();
    let value = sent.encode_to_vec();
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let raw = Raw {
        key: Some(b"42"),
        value: Some(&value),
        schema_version: Some(b"1"),
        traceparent: Some(traceparent.as_bytes()),
    };
    let record = Record::decode(&raw, &vehicles()).unwrap();
    assert_eq!(&*record.key, "42");
    assert_eq!(record.operation, Operation::Snapshot);
    assert_eq!(record.version, 918_273);
    assert_eq!(record.mapping_fingerprint, 0x5f0c_9a1e_7b22_d410);
    assert_eq!(record.backfill_run_id.as_deref(), Some("12"));
    assert_eq!(record.origin.as_deref(), Some("other"));
    assert_eq!(record.traceparent.as_deref(), Some(traceparent));
    assert_eq!(**record.raw(), *value);
    assert!(record.memory_bytes() > value.len());
}

#[test]
fn a_traceparent_of_another_form_is_left_out() {
    for header in [
        "",
        "00-1-2-01",
        "00-0AF7651916CD43DD8448EB211C80319C-B7AD6B7169203331-01",
        "a\nb",
    ] {
        let value = vehicle().encode_to_vec();
        let raw = Raw {
            key: Some(b"42"),
            value: Some(&value),
            schema_version: Some(b"1"),
            traceparent: Some(header.as_bytes()),
        };
        assert_eq!(
            Record::decode(&raw, &vehicles()).unwrap().traceparent,
            None,
            "{header:?}"
        );
    }
}

#[test]
fn what_a_newer_gem_adds_beside_the_attributes_is_skipped() {
    let bytes = with_raw_entry(11 << 3 | 2, b"new");
    assert_eq!(
        json(&decode_bytes(b"42", &bytes).unwrap()),
        json(&decode(&vehicle_with(vec![])).unwrap())
    );
}

#[test]
fn masked_json_hides_sensitive_and_named_attributes_and_nothing_else() {
    let record = decode(&vehicle_with(vec![
        sensitive("phone", Kind::StringValue("+49 170".into())),
        field("plate", Kind::StringValue("KA-01".into())),
        field("price", Kind::DecimalValue("10.50".into())),
    ]))
    .unwrap();
    let stream = vehicles();
    let mut out = Vec::new();
    let view = View::Log {
        mask: &["price".into()],
    };
    record.write_json(&record.delivery_id(&stream), &stream, view, &mut out);
    let masked = String::from_utf8(out).unwrap();
    assert!(
        masked.ends_with(r#""attributes":{"phone":"***","plate":"KA-01","price":"***"}}"#),
        "{masked}"
    );
    assert!(json(&record).contains("+49 170"));
}

#[test]
fn the_texts_of_sensitive_values_are_those_that_an_answer_could_echo() {
    let record = decode(&vehicle_with(vec![
        sensitive("bytes", Kind::BytesValue(b"blob".to_vec())),
        sensitive("decimal", Kind::DecimalValue("10.50".into())),
        sensitive("flag", Kind::BoolValue(true)),
        sensitive(
            "json",
            Kind::JsonValue(r#"{"name": ["a\"b", -1.50, {"\\": "\ud800"}], "n" : null}"#.into()),
        ),
        sensitive(
            "list",
            list([Kind::Int64Value(7), Kind::StringValue(" padded ".into())]),
        ),
        field("plate", Kind::StringValue("KA-01".into())),
    ]))
    .unwrap();
    assert_eq!(
        record.sensitive_texts(&["plate".into()]),
        [
            "YmxvYg", "blob", "10.50", "10.5", "a\"b", "-1.50", r"\ud800", "7", "padded", "KA-01"
        ]
    );
    assert!(record.has_masked(&[]));
    assert!(!decode(&vehicle()).unwrap().has_masked(&["other".into()]));
}

mod properties;
mod quarantine;
