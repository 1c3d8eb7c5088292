//! JSON of values that have to travel inside a `json_value`: what the relay makes of the same value on its own. Pure.

use std::io::Write;

use crate::{value::number, wire::take_varint};

const SECONDS_PER_DAY: i64 = 86_400;
const NANOSECONDS_PER_SECOND: u64 = 1_000_000_000;
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Appends the JSON of a value, given as the content of the `Value` message that [`crate::value`] wrote.
pub fn put_value(out: &mut Vec<u8>, content: &[u8]) {
    let Some((&tag, mut rest)) = content.split_first() else {
        return;
    };
    match tag >> 3 {
        number::BOOL => put_text(out, if rest == [0] { "false" } else { "true" }),
        number::INT64 => put_text(out, &unzigzag(take_varint(&mut rest)).to_string()),
        number::STRING | number::DECIMAL => put_string(out, held(rest)),
        number::JSON => out.extend_from_slice(held(rest)),
        number::BYTES => put_base64(out, held(rest)),
        number::DATE => quoted(out, |out| put_date(out, unzigzag(take_varint(&mut rest)))),
        number::TIME_OF_DAY => quoted(out, |out| put_time(out, take_varint(&mut rest))),
        number::TIMESTAMP => put_timestamp(out, held(rest)),
        number::DOUBLE => put_double(out, rest),
        number::LIST => put_list(out, held(rest)),
        _ => put_text(out, "null"),
    }
}

/// Appends a JSON string of text that is UTF-8.
pub fn put_string(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    for &byte in text {
        match byte {
            b'"' | b'\\' => out.extend([b'\\', byte]),
            b'\n' => put_text(out, "\\n"),
            b'\r' => put_text(out, "\\r"),
            b'\t' => put_text(out, "\\t"),
            0x08 => put_text(out, "\\b"),
            0x0c => put_text(out, "\\f"),
            0..b' ' => write(out, format_args!("\\u{byte:04x}")),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// What a field of bytes holds, after its length.
fn held(mut rest: &[u8]) -> &[u8] {
    let length = take_varint(&mut rest);
    &rest[..usize::try_from(length).map_or(rest.len(), |length| length.min(rest.len()))]
}

fn put_list(out: &mut Vec<u8>, mut values: &[u8]) {
    out.push(b'[');
    let mut is_first = true;
    while let Some((_, after_tag)) = values.split_first() {
        if !std::mem::take(&mut is_first) {
            out.push(b',');
        }
        let mut rest = after_tag;
        let _ = take_varint(&mut rest);
        let value = held(after_tag);
        put_value(out, value);
        values = &rest[value.len()..];
    }
    out.push(b']');
}

/// The fewest digits that read back as the same double. JSON has no number for what is not finite.
fn put_double(out: &mut Vec<u8>, bits: &[u8]) {
    let double = bits.try_into().map_or(f64::NAN, f64::from_le_bytes);
    if double.is_finite() {
        write(out, format_args!("{double:?}"));
    } else if double.is_nan() {
        put_text(out, "\"NaN\"");
    } else if double > 0.0 {
        put_text(out, "\"Infinity\"");
    } else {
        put_text(out, "\"-Infinity\"");
    }
}

fn put_timestamp(out: &mut Vec<u8>, mut message: &[u8]) {
    let (mut seconds, mut nanoseconds) = (0, 0);
    while let Some((&tag, rest)) = message.split_first() {
        message = rest;
        let number = take_varint(&mut message);
        match tag >> 3 {
            1 => seconds = number.cast_signed(),
            _ => nanoseconds = number,
        }
    }
    quoted(out, |out| {
        put_date(out, seconds.div_euclid(SECONDS_PER_DAY));
        out.push(b'T');
        let of_day = seconds.rem_euclid(SECONDS_PER_DAY).unsigned_abs();
        put_time(out, of_day * NANOSECONDS_PER_SECOND + nanoseconds);
        out.push(b'Z');
    });
}

/// Days are counted from 0000-03-01, so that the leap day is a year's last
/// (<https://howardhinnant.github.io/date_algorithms.html#civil_from_days>).
fn put_date(out: &mut Vec<u8>, day: i64) {
    let since_march = (day + 719_468).unsigned_abs();
    let (era, of_era) = (since_march / 146_097, since_march % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_since_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_since_march + 2) / 5 + 1;
    let (month, year_offset) = match month_since_march {
        0..=9 => (month_since_march + 3, 0),
        _ => (month_since_march - 9, 1),
    };
    let year = year_of_era + era * 400 + year_offset;
    write(out, format_args!("{year:04}-{month:02}-{day:02}"));
}

/// Six digits of a second, nine where there are nanoseconds.
fn put_time(out: &mut Vec<u8>, nanoseconds: u64) {
    let seconds = nanoseconds / NANOSECONDS_PER_SECOND;
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    write(out, format_args!("{hour:02}:{minute:02}:{second:02}."));
    match nanoseconds % NANOSECONDS_PER_SECOND {
        fraction if fraction.is_multiple_of(1_000) => {
            write(out, format_args!("{:06}", fraction / 1_000));
        }
        fraction => write(out, format_args!("{fraction:09}")),
    }
}

fn put_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    quoted(out, |out| {
        for group in bytes.chunks(3) {
            let bits = group.iter().enumerate().fold(0_u32, |bits, (at, &byte)| {
                bits | u32::from(byte) << (16 - 8 * at)
            });
            for at in 0..4 {
                let is_padding = at > group.len();
                out.push(if is_padding {
                    b'='
                } else {
                    BASE64[(bits >> (18 - 6 * at) & 63) as usize]
                });
            }
        }
    });
}

fn quoted(out: &mut Vec<u8>, put: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'"');
    put(out);
    out.push(b'"');
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

fn write(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text)
        .expect("a vector takes all that is written");
}

const fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::put_value;
    use crate::proto::{List, Timestamp, Value, value::Kind};

    fn json(kind: Kind) -> String {
        let mut out = Vec::new();
        put_value(&mut out, &Value { kind: Some(kind) }.encode_to_vec());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_words_and_texts() {
        for (kind, expected) in [
            (Kind::NullValue(true), "null"),
            (Kind::BoolValue(true), "true"),
            (Kind::BoolValue(false), "false"),
            (Kind::Int64Value(i64::MIN), "-9223372036854775808"),
            (Kind::Int64Value(i64::MAX), "9223372036854775807"),
            (Kind::DecimalValue("10.50".to_owned()), "\"10.50\""),
            (Kind::DoubleValue(-0.0), "-0.0"),
            (Kind::DoubleValue(0.1), "0.1"),
            (Kind::DoubleValue(1e300), "1e300"),
            (Kind::DoubleValue(f64::NAN), "\"NaN\""),
            (Kind::DoubleValue(f64::INFINITY), "\"Infinity\""),
            (Kind::DoubleValue(f64::NEG_INFINITY), "\"-Infinity\""),
            (Kind::JsonValue("{ \"a\":1.10}".to_owned()), "{ \"a\":1.10}"),
            (Kind::StringValue(String::new()), "\"\""),
            (
                Kind::StringValue("\"\\/\u{8}\u{c}\n\r\t\u{1}\u{7f}ü🚗".to_owned()),
                "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\u{7f}ü🚗\"",
            ),
        ] {
            assert_eq!(json(kind), expected);
        }
    }

    #[test]
    fn bytes_are_padded_base64() {
        for (bytes, expected) in [
            (&b""[..], ""),
            (b"f", "Zg=="),
            (b"fo", "Zm8="),
            (b"foo", "Zm9v"),
            (b"\xff\xfe\x00\x01", "//4AAQ=="),
        ] {
            assert_eq!(
                json(Kind::BytesValue(bytes.into())),
                format!("\"{expected}\"")
            );
        }
    }

    #[test]
    fn the_calendar_is_gregorian_from_the_year_1_to_9999() {
        for (day, expected) in [
            (-719_162, "0001-01-01"),
            (-171_606, "1500-02-28"),
            (-1, "1969-12-31"),
            (20_779, "2026-11-22"),
            (11_016, "2000-02-29"),
            (2_932_896, "9999-12-31"),
        ] {
            assert_eq!(json(Kind::DateValue(day)), format!("\"{expected}\""));
        }
    }

    #[test]
    fn a_second_has_six_digits_or_nine() {
        let at = |seconds, nanos| json(Kind::TimestampValue(Timestamp { seconds, nanos }));
        assert_eq!(at(0, 0), "\"1970-01-01T00:00:00.000000Z\"");
        assert_eq!(at(-1, 500_000_000), "\"1969-12-31T23:59:59.500000Z\"");
        assert_eq!(
            at(253_402_300_799, 999_999_999),
            "\"9999-12-31T23:59:59.999999999Z\""
        );
        assert_eq!(
            json(Kind::TimeOfDayValue(24_360_123_456_000)),
            "\"06:46:00.123456\""
        );
    }

    #[test]
    fn lists_nest() {
        let value = |kind| Value { kind: Some(kind) };
        let inner = value(Kind::ListValue(List {
            values: vec![value(Kind::Int64Value(1)), value(Kind::NullValue(true))],
        }));
        let empty = value(Kind::ListValue(List::default()));
        assert_eq!(
            json(Kind::ListValue(List {
                values: vec![inner, empty, value(Kind::BoolValue(true))]
            })),
            "[[1,null],[],true]"
        );
    }
}
