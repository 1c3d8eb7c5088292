//! The hand encoder against prost: every golden record holds the encoder's bytes (the gem's specs see to that), and
//! prost, which reads it and writes it again, must come to the same.

use std::{fs, path::Path};

use prost::Message;

use crate::{
    proto::{Record, Timestamp},
    wire,
};

fn fixtures() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../proto/fixtures");
    let mut fixtures: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "bin"))
        .map(|path| {
            (
                path.file_stem().unwrap().to_string_lossy().into_owned(),
                fs::read(&path).unwrap(),
            )
        })
        .collect();
    fixtures.sort();
    fixtures
}

#[test]
fn prost_writes_the_same_bytes_as_the_hand_encoder() {
    let fixtures = fixtures();
    assert!(fixtures.len() >= 25, "{} golden records", fixtures.len());
    for (name, bytes) in fixtures {
        let record = Record::decode(bytes.as_slice()).unwrap();
        assert!(record.encode_to_vec() == bytes, "{name}");
    }
}

#[test]
fn timestamps_equal_prosts_whatever_their_size() {
    let seconds = (0..63).flat_map(|bits| [1_i64 << bits, -(1_i64 << bits), (1_i64 << bits) - 1]);
    for seconds in seconds.chain([0, i64::MIN, i64::MAX]) {
        for nanoseconds in [0, 1, 127, 128, 16_383, 16_384, 999_999_999] {
            let mut ours = Vec::new();
            wire::put_timestamp(&mut ours, 6, seconds, nanoseconds);
            let record = Record {
                committed_at: Some(Timestamp {
                    seconds,
                    nanos: nanoseconds.cast_signed(),
                }),
                ..Record::default()
            };
            assert_eq!(ours, record.encode_to_vec(), "{seconds} s {nanoseconds} ns");
        }
    }
}

#[test]
fn varints_equal_prosts_whatever_their_size() {
    for value in (0..64)
        .flat_map(|bits| [1_u64 << bits, (1_u64 << bits) - 1, (1_u64 << bits) + 1])
        .chain([u64::MAX])
    {
        let (mut ours, mut prosts) = (Vec::new(), Vec::new());
        wire::put_varint(&mut ours, value);
        prost::encoding::encode_varint(value, &mut prosts);
        assert_eq!(ours, prosts, "{value}");
    }
}
