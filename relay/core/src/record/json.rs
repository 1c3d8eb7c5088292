//! JSON, written straight from the bytes of a record: what a consumer receives, byte for byte.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::Record;
use super::calendar;
use super::field::Field;
use super::value::Value;
use crate::names::{DeliveryId, Operation, Stream};

/// What stands for a value that must not be seen.
pub const MASKED: &str = "***";

/// For whom JSON is written.
#[derive(Debug, Clone, Copy)]
pub enum View<'a> {
    /// A consumer sees everything.
    Consumer,
    /// A log sees `"***"` for every sensitive attribute, and for those that are named here.
    Log { mask: &'a [String] },
}

impl Record {
    /// Appends the JSON of this record: `id source model key operation version committed_at attributes`, attributes
    /// sorted by the bytes of their names, null for a delete.
    pub fn write_json(&self, id: &DeliveryId, stream: &Stream, view: View<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"id\":\"");
        write_display(out, id);
        out.extend_from_slice(b"\",\"source\":");
        write_string(out, &stream.source);
        out.extend_from_slice(b",\"model\":");
        write_string(out, &stream.model);
        out.extend_from_slice(b",\"key\":");
        write_string(out, &self.key);
        out.extend_from_slice(b",\"operation\":\"");
        out.extend_from_slice(self.operation.as_str().as_bytes());
        out.extend_from_slice(b"\",\"version\":");
        write_integer(out, self.version);
        out.extend_from_slice(b",\"committed_at\":\"");
        self.write_committed_at(out);
        out.extend_from_slice(b"\",\"attributes\":");
        self.write_attributes(view, out);
        out.push(b'}');
    }

    /// Appends the JSON of the attributes alone: an object, or null for a delete.
    pub fn write_attributes(&self, view: View<'_>, out: &mut Vec<u8>) {
        if self.operation == Operation::Delete {
            out.extend_from_slice(b"null");
        } else if self.is_sorted {
            write_fields(out, self.fields(), view);
        } else {
            write_fields(out, self.attributes().fields(), view);
        }
    }

    /// Appends the time of the commit, without quotes.
    pub fn write_committed_at(&self, out: &mut Vec<u8>) {
        let (mut seconds, mut nanoseconds) = (
            self.committed_at.as_second(),
            self.committed_at.subsec_nanosecond(),
        );
        // Before 1970 both parts are negative.
        if nanoseconds < 0 {
            seconds -= 1;
            nanoseconds += 1_000_000_000;
        }
        calendar::write_timestamp(out, seconds, nanoseconds.unsigned_abs());
    }
}

fn write_fields<'a>(out: &mut Vec<u8>, fields: impl Iterator<Item = Field<'a>>, view: View<'_>) {
    out.push(b'{');
    for (position, field) in fields.enumerate() {
        if position > 0 {
            out.push(b',');
        }
        write_string(out, field.name);
        out.push(b':');
        write_field(out, &field, view);
    }
    out.push(b'}');
}

/// Writes the value of an attribute, or what stands for it.
pub(super) fn write_field(out: &mut Vec<u8>, field: &Field<'_>, view: View<'_>) {
    match view {
        View::Log { mask } if field.is_masked(mask) => write_string(out, MASKED),
        View::Consumer | View::Log { .. } => write_value(out, &field.value),
    }
}

fn write_value(out: &mut Vec<u8>, value: &Value<'_>) {
    match *value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Int64(number) => write_integer(out, number),
        Value::String(text) | Value::Decimal(text) => write_string(out, text),
        Value::Bytes(bytes) => write_quoted(out, |out| write_base64(out, bytes)),
        Value::Timestamp {
            seconds,
            nanoseconds,
        } => write_quoted(out, |out| {
            calendar::write_timestamp(out, seconds, nanoseconds);
        }),
        Value::Date(day) => write_quoted(out, |out| calendar::write_date(out, day)),
        Value::TimeOfDay(time) => write_quoted(out, |out| calendar::write_time(out, time)),
        Value::Double(number) => write_double(out, number),
        Value::Json(text) => out.extend_from_slice(text.as_bytes()),
        Value::List(list) => {
            out.push(b'[');
            for (position, item) in list.items().enumerate() {
                if position > 0 {
                    out.push(b',');
                }
                write_value(out, &item);
            }
            out.push(b']');
        }
    }
}

/// Writes what needs no escaping between quotes.
pub fn write_quoted(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'"');
    write(out);
    out.push(b'"');
}

pub fn write_integer(out: &mut Vec<u8>, number: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// JSON has no number for what is not finite.
pub fn write_double(out: &mut Vec<u8>, number: f64) {
    if number.is_finite() {
        out.extend_from_slice(ryu::Buffer::new().format_finite(number).as_bytes());
    } else if number.is_nan() {
        out.extend_from_slice(b"\"NaN\"");
    } else if number > 0.0 {
        out.extend_from_slice(b"\"Infinity\"");
    } else {
        out.extend_from_slice(b"\"-Infinity\"");
    }
}

fn write_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    // A whole number of triples needs no padding, so slices of it can be encoded one after the other.
    let mut encoded = [0; 1024];
    for slice in bytes.chunks(encoded.len() / 4 * 3) {
        let length = BASE64
            .encode_slice(slice, &mut encoded)
            .expect("the buffer holds four characters for three bytes");
        out.extend_from_slice(&encoded[..length]);
    }
}

/// Writes a JSON string: quotes, backslashes and control characters escaped, all else as it is.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    // Blocks are looked at without an early end, so that the compiler takes their bytes at once.
    let (blocks, rest) = bytes.as_chunks::<16>();
    let has_escaped = |block: &[u8]| {
        block
            .iter()
            .fold(false, |any, &byte| any | is_escaped(byte))
    };
    if has_escaped(rest) || blocks.iter().any(|block| has_escaped(block)) {
        write_escaped(out, bytes);
    } else {
        out.extend_from_slice(bytes);
    }
    out.push(b'"');
}

fn is_escaped(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
}

fn write_escaped(out: &mut Vec<u8>, bytes: &[u8]) {
    let mut written = 0;
    for (position, &byte) in bytes.iter().enumerate() {
        if !is_escaped(byte) {
            continue;
        }
        out.extend_from_slice(&bytes[written..position]);
        written = position + 1;
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            control => {
                let digit = |nibble: u8| b"0123456789abcdef"[usize::from(nibble)];
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[digit(control >> 4), digit(control & 0xf)]);
            }
        }
    }
    out.extend_from_slice(&bytes[written..]);
}

/// Writes what needs no escaping.
pub fn write_display(out: &mut Vec<u8>, text: &impl std::fmt::Display) {
    write!(out, "{text}").expect("a vector takes all that is written");
}

/// The text of a value as JSON shows it, without quotes or escapes.
pub fn plain_text(value: &Value<'_>) -> String {
    match value {
        Value::String(text) | Value::Decimal(text) | Value::Json(text) => (*text).to_owned(),
        other => {
            let mut out = Vec::new();
            write_value(&mut out, other);
            String::from_utf8_lossy(&out).trim_matches('"').to_owned()
        }
    }
}
