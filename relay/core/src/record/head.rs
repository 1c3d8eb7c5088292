//! Everything of a record but its attributes, and whether it belongs where it was read.

use std::ops::Range;

use super::wire::{Entries, Entry, Malformed, Payload};
use super::{NAMED_CHARS_MAX, Raw};
use crate::exchange::ErrorClass;
use crate::names::{Operation, Stream, VERSION_END};

/// The number of the entry that holds an attribute.
pub const FIELDS: u32 = 9;

/// Bytes of a key, at most.
const KEY_BYTES_MAX: usize = 512;

/// The only schema there is.
const SCHEMA_VERSION: &[u8] = b"1";

/// The entries of a record as read, unchecked but for their types.
#[derive(Debug, Default)]
pub struct Head<'a> {
    source: &'a str,
    model: &'a str,
    key: &'a [u8],
    operation: u64,
    version: u64,
    pub committed_at: Option<&'a [u8]>,
    pub mapping_fingerprint: u64,
    pub backfill_run_id: &'a str,
    pub origin: &'a str,
    /// From the first attribute's tag to the last attribute's end.
    pub fields: Range<usize>,
    /// A bit for each entry that has come.
    seen: u32,
}

/// Who a record is about, checked.
#[derive(Debug, Clone, Copy)]
pub struct Identity<'a> {
    pub key: &'a str,
    pub version: u64,
    pub operation: Operation,
}

/// Why nobody can say whose record it is.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum HeadFlaw {
    #[error("the message has no value")]
    NullValue,
    #[error("the message has no schema-version header")]
    NoSchemaVersion,
    #[error("schema-version {0:?} is not \"1\"")]
    SchemaVersion(String),
    #[error("the value is not protobuf: {0}")]
    Malformed(#[from] Malformed),
    #[error("entry {0} of the record comes twice")]
    Twice(u32),
    #[error("entry {0} of the record has another wire type")]
    WireType(u32),
    #[error("entry {0} of the record is not UTF-8")]
    NotUtf8(u32),
    #[error("the key is empty")]
    EmptyKey,
    #[error("the key has {0} bytes, more than {KEY_BYTES_MAX}")]
    LongKey(usize),
    #[error("the key has a control character")]
    ControlInKey,
    #[error("the message key is not the record's")]
    MessageKey,
    #[error("version {0} is not within 1 and 2^53 - 1")]
    Version(u64),
    #[error("{0} is not an operation")]
    Operation(u64),
    #[error("the record's source is {0:?}, not the topic's")]
    Source(String),
    #[error("the record's model is {0:?}, not the topic's")]
    Model(String),
}

impl HeadFlaw {
    /// `unmappable` is what was understood, but does not belong where it was read.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::NullValue => ErrorClass::NullValue,
            Self::MessageKey | Self::Source(_) | Self::Model(_) => ErrorClass::Unmappable,
            Self::NoSchemaVersion
            | Self::SchemaVersion(_)
            | Self::Malformed(_)
            | Self::Twice(_)
            | Self::WireType(_)
            | Self::NotUtf8(_)
            | Self::EmptyKey
            | Self::LongKey(_)
            | Self::ControlInKey
            | Self::Version(_)
            | Self::Operation(_) => ErrorClass::Undecodable,
        }
    }
}

impl<'a> Head<'a> {
    /// Reads the head of a message's value; returns it with the value.
    pub fn of_message(raw: &Raw<'a>) -> Result<(&'a [u8], Self), HeadFlaw> {
        let value = raw.value.ok_or(HeadFlaw::NullValue)?;
        match raw.schema_version {
            Some(SCHEMA_VERSION) => {}
            Some(other) => return Err(HeadFlaw::SchemaVersion(quoted(other))),
            None => return Err(HeadFlaw::NoSchemaVersion),
        }
        let (mut head, mut position) = (Self::default(), 0);
        for entry in Entries::of(value) {
            let entry = entry?;
            let end = position + entry.raw.len();
            if entry.number == FIELDS {
                head.take_field(&entry, position..end)?;
            } else {
                head.take(&entry)?;
            }
            position = end;
        }
        Ok((value, head))
    }

    fn take_field(&mut self, entry: &Entry<'a>, place: Range<usize>) -> Result<(), HeadFlaw> {
        if !matches!(entry.payload, Payload::Bytes(_)) {
            return Err(HeadFlaw::WireType(FIELDS));
        }
        if self.fields.is_empty() {
            self.fields = place;
        } else {
            self.fields.end = place.end;
        }
        Ok(())
    }

    fn take(&mut self, entry: &Entry<'a>) -> Result<(), HeadFlaw> {
        let number = entry.number;
        match (number, entry.payload) {
            (1, Payload::Bytes(bytes)) => self.source = text(number, bytes)?,
            (2, Payload::Bytes(bytes)) => self.model = text(number, bytes)?,
            (3, Payload::Bytes(bytes)) => self.key = bytes,
            (4, Payload::Varint(operation)) => self.operation = operation,
            (5, Payload::Varint(version)) => self.version = version,
            (6, Payload::Bytes(message)) => self.committed_at = Some(message),
            (7, Payload::Fixed64(fingerprint)) => self.mapping_fingerprint = fingerprint,
            (8, Payload::Bytes(bytes)) => self.backfill_run_id = text(number, bytes)?,
            (10, Payload::Bytes(bytes)) => self.origin = text(number, bytes)?,
            (1..=10, _) => return Err(HeadFlaw::WireType(number)),
            // Something newer, beside the attributes.
            _ => return Ok(()),
        }
        let bit = 1 << number;
        if self.seen & bit != 0 {
            return Err(HeadFlaw::Twice(number));
        }
        self.seen |= bit;
        Ok(())
    }

    /// Checks who the record is about, against the message's key and the topic.
    pub fn identity(
        &self,
        message_key: Option<&[u8]>,
        stream: &Stream,
    ) -> Result<Identity<'a>, HeadFlaw> {
        let key = valid_key(self.key)?;
        if message_key != Some(self.key) {
            return Err(HeadFlaw::MessageKey);
        }
        if !(1..VERSION_END).contains(&self.version) {
            return Err(HeadFlaw::Version(self.version));
        }
        if *self.source != *stream.source {
            return Err(HeadFlaw::Source(quoted(self.source.as_bytes())));
        }
        if *self.model != *stream.model {
            return Err(HeadFlaw::Model(quoted(self.model.as_bytes())));
        }
        let operation = match self.operation {
            1 => Operation::Create,
            2 => Operation::Update,
            3 => Operation::Delete,
            4 => Operation::Snapshot,
            other => return Err(HeadFlaw::Operation(other)),
        };
        Ok(Identity {
            key,
            version: self.version,
            operation,
        })
    }
}

fn valid_key(key: &[u8]) -> Result<&str, HeadFlaw> {
    if key.is_empty() {
        return Err(HeadFlaw::EmptyKey);
    }
    if key.len() > KEY_BYTES_MAX {
        return Err(HeadFlaw::LongKey(key.len()));
    }
    let key = text(3, key)?;
    if key.chars().any(char::is_control) {
        return Err(HeadFlaw::ControlInKey);
    }
    Ok(key)
}

fn text(number: u32, bytes: &[u8]) -> Result<&str, HeadFlaw> {
    std::str::from_utf8(bytes).map_err(|_| HeadFlaw::NotUtf8(number))
}

fn quoted(foreign: &[u8]) -> String {
    String::from_utf8_lossy(foreign)
        .chars()
        .take(NAMED_CHARS_MAX)
        .collect()
}
