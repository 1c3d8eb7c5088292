//! The record around its fields: key, operation, version, time, origin.

use std::ops::{Range, RangeInclusive};

use magnus::{Fixnum, Integer, RString, Ruby, Value};

use crate::{
    failure::Failure,
    value::{Refusal, append_text},
    wire::{bytes_tag, fixed64_tag, put_bytes, put_timestamp, put_varint, varint_tag},
};

/// Longest key in bytes; the relay refuses longer ones.
const KEY_BYTES_MAX: usize = 512;

/// What a record says besides its key and its fields.
pub struct Envelope {
    operation: u64,
    version: u64,
    seconds: i64,
    nanoseconds: u32,
    run_id: Option<RString>,
    origin: Option<RString>,
}

impl Envelope {
    /// Checks what Ruby gave.
    pub fn from_ruby(
        operation: Value,
        version: Value,
        seconds: Value,
        nanoseconds: Value,
        run_id: Option<RString>,
        origin: Option<RString>,
    ) -> Result<Self, Failure> {
        Ok(Self {
            operation: integer(operation, "operation", 1..=4)?,
            version: integer(version, "version", 0..=i64::MAX)?,
            seconds: integer(seconds, "seconds", i64::MIN..=i64::MAX)?,
            nanoseconds: integer(nanoseconds, "nanoseconds", 0..=999_999_999)?,
            run_id,
            origin,
        })
    }

    /// Milliseconds since 1970, as Kafka stamps a message.
    pub fn committed_at_ms(&self) -> i64 {
        self.seconds
            .saturating_mul(1_000)
            .saturating_add(i64::from(self.nanoseconds / 1_000_000))
    }

    /// Appends the fields 4 to 8.
    pub fn put_before_fields(
        &self,
        ruby: &Ruby,
        record: &mut Vec<u8>,
        fingerprint: u64,
    ) -> Result<(), Failure> {
        record.push(varint_tag(4));
        put_varint(record, self.operation);
        if self.version != 0 {
            record.push(varint_tag(5));
            put_varint(record, self.version);
        }
        put_timestamp(record, 6, self.seconds, self.nanoseconds);
        if fingerprint != 0 {
            record.push(fixed64_tag(7));
            record.extend(fingerprint.to_le_bytes());
        }
        put_text(ruby, record, 8, self.run_id, "run_id")
    }

    /// Appends field 10.
    pub fn put_after_fields(&self, ruby: &Ruby, record: &mut Vec<u8>) -> Result<(), Failure> {
        put_text(ruby, record, 10, self.origin, "origin")
    }
}

/// Appends the key and says where it stands.
pub fn put_key(ruby: &Ruby, record: &mut Vec<u8>, key: RString) -> Result<Range<usize>, Failure> {
    let mut text = Vec::with_capacity(key.len());
    append_text(ruby, &mut text, key).map_err(|refusal| Failure::refused("key", refusal))?;
    let refusal = if text.is_empty() {
        Some(Refusal::Empty)
    } else if text.len() > KEY_BYTES_MAX {
        Some(Refusal::LongKey(text.len()))
    } else {
        let has_control =
            std::str::from_utf8(&text).is_ok_and(|text| text.contains(char::is_control));
        has_control.then_some(Refusal::ControlCharacter)
    };
    if let Some(refusal) = refusal {
        return Err(Failure::refused("key", refusal));
    }
    record.push(bytes_tag(3));
    put_varint(record, text.len() as u64);
    let start = record.len();
    record.extend_from_slice(&text);
    Ok(start..record.len())
}

/// Appends a text that is usually absent.
fn put_text(
    ruby: &Ruby,
    record: &mut Vec<u8>,
    field: u8,
    string: Option<RString>,
    name: &str,
) -> Result<(), Failure> {
    let Some(string) = string else { return Ok(()) };
    let mut text = Vec::with_capacity(string.len());
    append_text(ruby, &mut text, string).map_err(|refusal| Failure::refused(name, refusal))?;
    if !text.is_empty() {
        put_bytes(record, field, &text);
    }
    Ok(())
}

/// An integer of the given range, which the type `T` covers.
fn integer<T: TryFrom<i64>>(
    value: Value,
    name: &'static str,
    range: RangeInclusive<i64>,
) -> Result<T, Failure> {
    let integer = match Fixnum::from_value(value) {
        Some(small) => Some(small.to_i64()),
        None => Integer::from_value(value).and_then(|integer| integer.to_i64().ok()),
    };
    integer
        .filter(|integer| range.contains(integer))
        .and_then(|integer| T::try_from(integer).ok())
        .ok_or_else(|| {
            let (min, max) = (range.start(), range.end());
            Failure::Misuse(format!(
                "{name} must be an integer from {min} to {max}, not {value}"
            ))
        })
}
