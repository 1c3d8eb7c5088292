//! Arbitrary bytes, and arbitrary records against an independent rendering.

use proptest::prelude::*;
use prost::Message;
use serde_json::{Map, Value as Json, json};
use sha2::{Digest, Sha256};

use crate::names::ContentHash;
use crate::proto;
use crate::proto::value::Kind;
use crate::record::View;
use crate::record::samples::{
    decode, decode_bytes, field, json as written, value, vehicle, vehicle_with,
};

fn kind() -> impl Strategy<Value = Kind> {
    let timestamp = (-62_135_596_800_i64..253_402_300_800, 0..1_000_000_000_i32)
        .prop_map(|(seconds, nanos)| proto::Timestamp { seconds, nanos });
    let scalar = prop_oneof![
        Just(Kind::NullValue(true)),
        any::<bool>().prop_map(Kind::BoolValue),
        any::<i64>().prop_map(Kind::Int64Value),
        any::<String>().prop_map(Kind::StringValue),
        any::<Vec<u8>>().prop_map(Kind::BytesValue),
        "-?[0-9]{1,30}(\\.[0-9]{1,10})?".prop_map(Kind::DecimalValue),
        timestamp.prop_map(Kind::TimestampValue),
        (-719_162..2_932_897_i32).prop_map(Kind::DateValue),
        (0..86_400_000_000_000_u64).prop_map(Kind::TimeOfDayValue),
        double().prop_map(Kind::DoubleValue),
        any::<String>().prop_map(|text| Kind::JsonValue(json!({ "a": [text] }).to_string())),
    ];
    scalar.prop_recursive(4, 20, 5, |kind| {
        prop::collection::vec(kind, 0..5).prop_map(|kinds| {
            let values = kinds.into_iter().map(value).collect();
            Kind::ListValue(proto::List { values })
        })
    })
}

/// Doubles that all libraries write alike: they differ in where an exponent begins, and in its plus sign.
fn double() -> impl Strategy<Value = f64> {
    prop_oneof![
        (1e-3..1e12),
        (-1e12..-1e-3),
        prop::sample::select(vec![0.0, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY]),
    ]
}

fn record() -> impl Strategy<Value = proto::Record> {
    let field = (kind(), any::<bool>(), any::<bool>());
    let fields = prop::collection::btree_map("\\PC{1,12}", field, 0..12);
    let key = "\\PC{1,60}";
    (key, 1..1_u64 << 53, fields, 1..=4, any::<u64>()).prop_map(
        |(key, version, fields, operation, mapping_fingerprint)| {
            let is_delete = operation == i32::from(proto::Operation::Delete);
            let fields = fields.into_iter().filter(|_| !is_delete);
            proto::Record {
                key,
                version,
                operation,
                mapping_fingerprint,
                fields: fields
                    .map(|(name, (kind, sensitive, volatile))| proto::Field {
                        name,
                        value: Some(value(kind)),
                        sensitive,
                        volatile,
                    })
                    .collect(),
                ..vehicle()
            }
        },
    )
}

/// The JSON of a value by way of other libraries: jiff's calendar, serde's numbers and escapes.
fn expected_value(kind: &Kind) -> Json {
    match kind {
        Kind::NullValue(_) => Json::Null,
        Kind::BoolValue(bit) => json!(bit),
        Kind::Int64Value(number) => json!(number),
        Kind::StringValue(text) | Kind::DecimalValue(text) => json!(text),
        Kind::BytesValue(bytes) => {
            json!(base64::Engine::encode(
                &base64::prelude::BASE64_STANDARD,
                bytes
            ))
        }
        Kind::TimestampValue(at) => {
            // jiff's timestamps end a day before the year 9999 does; its civil times do not.
            let time = jiff::civil::DateTime::constant(1970, 1, 1, 0, 0, 0, 0)
                + jiff::SignedDuration::new(at.seconds, at.nanos);
            json!(format!("{}Z", with_fraction(time.date(), 'T', time.time())))
        }
        Kind::DateValue(days) => {
            let date = jiff::civil::date(1970, 1, 1)
                + jiff::SignedDuration::from_hours(24 * i64::from(*days));
            json!(date.to_string())
        }
        Kind::TimeOfDayValue(nanoseconds) => {
            let time = jiff::civil::Time::midnight()
                + jiff::SignedDuration::from_nanos(nanoseconds.cast_signed());
            json!(with_fraction("", "", time))
        }
        Kind::DoubleValue(number) if number.is_nan() => json!("NaN"),
        Kind::DoubleValue(number) if number.is_infinite() => {
            json!(if *number > 0.0 {
                "Infinity"
            } else {
                "-Infinity"
            })
        }
        Kind::DoubleValue(number) => json!(number),
        Kind::JsonValue(text) => serde_json::from_str(text).unwrap(),
        Kind::ListValue(list) => {
            let values = list.values.iter();
            values
                .map(|value| expected_value(value.kind.as_ref().unwrap()))
                .collect()
        }
    }
}

fn with_fraction(
    date: impl std::fmt::Display,
    between: impl std::fmt::Display,
    time: jiff::civil::Time,
) -> String {
    let digits = if time.subsec_nanosecond() % 1_000 == 0 {
        6
    } else {
        9
    };
    format!("{date}{between}{time:.digits$}")
}

fn expected_json(record: &proto::Record, id: &str) -> String {
    let operation = match record.operation() {
        proto::Operation::Unspecified => "",
        proto::Operation::Create => "create",
        proto::Operation::Update => "update",
        proto::Operation::Delete => "delete",
        proto::Operation::Snapshot => "snapshot",
    };
    let attributes: Map<String, Json> = record
        .fields
        .iter()
        .map(|field| {
            let kind = field.value.as_ref().unwrap().kind.as_ref().unwrap();
            (field.name.clone(), expected_value(kind))
        })
        .collect();
    let attributes = match operation {
        "delete" => Json::Null,
        _ => Json::Object(attributes),
    };
    format!(
        r#"{{"id":"{id}","source":"monolith","model":"Vehicle","key":{},"operation":"{operation}","version":{},"committed_at":"2026-11-22T06:46:00.123456Z","attributes":{attributes}}}"#,
        json!(record.key),
        record.version,
    )
}

/// The hash of the fields as prost encodes them into a record of nothing else.
fn expected_hash(record: &proto::Record) -> ContentHash {
    let mut fields = record.fields.clone();
    fields.retain(|field| !field.volatile);
    let only_fields = proto::Record {
        fields,
        ..proto::Record::default()
    };
    let digest = Sha256::digest(only_fields.encode_to_vec());
    ContentHash(digest[..16].try_into().unwrap())
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(key: Vec<u8>, value: Vec<u8>) {
        let _ = decode_bytes(&key, &value);
    }

    #[test]
    fn a_record_with_bytes_changed_never_panics(
        record in record(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = record.encode_to_vec();
        for (index, byte) in changes {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(record) = decode_bytes(record.key.as_bytes(), &bytes) {
            let json = written(&record);
            prop_assert!(serde_json::from_str::<serde::de::IgnoredAny>(&json).is_ok(), "{json}");
        }
    }

    #[test]
    fn a_record_that_is_cut_off_is_never_read_as_a_sound_one_of_other_content(
        record in record(),
        cut in any::<prop::sample::Index>(),
    ) {
        let bytes = record.encode_to_vec();
        let cut = &bytes[..cut.index(bytes.len())];
        // A cut between two entries leaves valid protobuf behind: then it is what those bytes say.
        if let Ok(ours) = decode_bytes(record.key.as_bytes(), cut) {
            let theirs = proto::Record::decode(cut).unwrap();
            let id = ours.delivery_id(&crate::record::samples::vehicles()).to_string();
            prop_assert_eq!(written(&ours), expected_json(&theirs, &id));
        }
    }

    #[test]
    fn json_equals_an_independent_rendering(record in record()) {
        let ours = decode(&record).unwrap();
        let id = ours.delivery_id(&crate::record::samples::vehicles()).to_string();
        prop_assert_eq!(written(&ours), expected_json(&record, &id));
    }

    #[test]
    fn a_double_reads_back_as_itself(number in prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO) {
        let record = vehicle_with(vec![field("a", Kind::DoubleValue(number))]);
        let json = written(&decode(&record).unwrap());
        let (_, shown) = json.split_once(r#"{"a":"#).unwrap();
        // serde_json reads some doubles one bit off.
        let shown: f64 = shown.trim_end_matches('}').parse().unwrap();
        prop_assert_eq!(shown.to_bits(), number.to_bits());
    }

    #[test]
    fn the_content_hash_equals_an_independent_one(record in record()) {
        prop_assert_eq!(decode(&record).unwrap().content_hash, expected_hash(&record));
    }

    #[test]
    fn the_order_of_attributes_does_not_show(record in record(), seed in any::<prop::sample::Index>()) {
        let mut shuffled = record.clone();
        let middle = seed.index(record.fields.len() + 1);
        shuffled.fields.rotate_left(middle);
        prop_assert_eq!(written(&decode(&shuffled).unwrap()), written(&decode(&record).unwrap()));
    }

    #[test]
    fn masking_never_lets_a_sensitive_value_through(mut record in record(), mark in "[a-z]{20}") {
        for (position, field) in record.fields.iter_mut().enumerate() {
            field.sensitive = position % 2 == 0;
            if field.sensitive {
                let text = Kind::StringValue(format!("{mark}\"\\\n"));
                field.value = Some(value(if position % 4 == 0 { text } else { Kind::ListValue(proto::List { values: vec![value(text)] }) }));
            }
        }
        let ours = decode(&record).unwrap();
        let stream = crate::record::samples::vehicles();
        let mut masked = Vec::new();
        ours.write_json(&ours.delivery_id(&stream), &stream, View::Log { mask: &[] }, &mut masked);
        let masked = String::from_utf8(masked).unwrap();
        prop_assert!(!masked.contains(&mark), "{masked}");
        prop_assert!(serde_json::from_str::<serde::de::IgnoredAny>(&masked).is_ok());
    }
}
