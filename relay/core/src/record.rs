//! A record as it was read from Kafka, checked whole at once, so that rendering it cannot fail.
//!
//! The bytes are kept as they are: JSON is written from them when it is sent, the content hash is taken over them, and
//! parking stores them. In reading order:
//!
//! - `wire`: protobuf entries over a byte slice
//! - `head`: everything of a record but its attributes
//! - `field`, `value`: an attribute and its value
//! - `calendar`, `json`: how they look in JSON
//! - `attributes`: one of them by its name
//! - `sensitive`: what must not be seen in a log
//! - `content_hash`: what tells two states of a row apart

mod attributes;
mod calendar;
mod content_hash;
mod field;
mod head;
pub(crate) mod json;
#[cfg(test)]
pub(crate) mod samples;
mod sensitive;
mod value;
mod wire;

use std::ops::Range;
use std::sync::Arc;

use crate::exchange::ErrorClass;
use crate::names::{ContentHash, DeliveryId, Operation, Stream};
use crate::time::Timestamp;
use content_hash::ContentHasher;
use field::{Field, FieldFlaw};
use head::{Head, HeadFlaw, Identity};
pub use json::View;
use wire::{Entries, Payload};

/// Characters of a foreign text that an error quotes.
const NAMED_CHARS_MAX: usize = 100;

/// A Kafka message, unread.
#[derive(Debug, Clone, Copy, Default)]
pub struct Raw<'a> {
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    /// The header `schema-version`.
    pub schema_version: Option<&'a [u8]>,
    /// The header `traceparent`; passed on when it has the form of W3C Trace Context, else left out.
    pub traceparent: Option<&'a [u8]>,
}

/// A record that can be delivered.
#[derive(Debug, Clone)]
pub struct Record {
    pub key: Arc<str>,
    pub operation: Operation,
    pub version: u64,
    pub committed_at: Timestamp,
    pub mapping_fingerprint: u64,
    /// Only of snapshots.
    pub backfill_run_id: Option<Box<str>>,
    /// The source whose record made this change.
    pub origin: Option<Box<str>>,
    pub traceparent: Option<Box<str>>,
    pub content_hash: ContentHash,
    value: Arc<[u8]>,
    /// Where in `value` the attributes lie, from the first to the last.
    fields: Range<usize>,
    has_sensitive: bool,
    /// Attributes come sorted by name from our own gem; others may not know.
    is_sorted: bool,
}

/// Why a record cannot be delivered, and to whom it belongs as far as that can be trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantine {
    pub class: ErrorClass,
    /// Names no attribute's value.
    pub error: String,
    pub readable: Option<Readable>,
}

/// The identity of a quarantined record, given only where the whole of it is valid and is the topic's and the message's:
/// a newer version of the key supersedes it, which must never be another key's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readable {
    pub key: Arc<str>,
    pub version: u64,
    pub operation: Operation,
    pub committed_at: Option<Timestamp>,
}

/// What is wrong with a record whose identity is sound.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
enum Flaw {
    #[error("committed_at is missing")]
    NoCommittedAt,
    #[error("committed_at is malformed or out of range")]
    CommittedAt,
    #[error("a delete has attributes")]
    DeleteWithFields,
    #[error(transparent)]
    Field(#[from] FieldFlaw),
    #[error("attribute {0:?} comes twice")]
    FieldTwice(String),
}

impl Record {
    /// Reads a message of a stream's topic.
    ///
    /// Unknown entries of the record itself are skipped, so that an older relay can pass on what a newer gem adds beside
    /// the attributes; within an attribute or a value nothing unknown is skipped.
    ///
    /// # Errors
    /// [`Quarantine`] when it cannot be delivered; sending the same bytes again will not help.
    pub fn decode(raw: &Raw<'_>, stream: &Stream) -> Result<Self, Quarantine> {
        let (value, head) = Head::of_message(raw).map_err(|flaw| Quarantine::unreadable(&flaw))?;
        let identity = head
            .identity(raw.key, stream)
            .map_err(|flaw| Quarantine::unreadable(&flaw))?;
        Self::assemble(raw, value, &head, identity).map_err(|flaw| Quarantine {
            class: ErrorClass::Undecodable,
            error: flaw.to_string(),
            readable: Some(Readable {
                key: identity.key.into(),
                version: identity.version,
                operation: identity.operation,
                committed_at: committed_at(&head).ok(),
            }),
        })
    }

    fn assemble(
        raw: &Raw<'_>,
        value: &[u8],
        head: &Head<'_>,
        identity: Identity<'_>,
    ) -> Result<Self, Flaw> {
        let committed_at = committed_at(head)?;
        let fields = &value[head.fields.clone()];
        if identity.operation == Operation::Delete && !fields.is_empty() {
            return Err(Flaw::DeleteWithFields);
        }
        let survey = Survey::of(fields)?;
        Ok(Self {
            key: identity.key.into(),
            operation: identity.operation,
            version: identity.version,
            committed_at,
            mapping_fingerprint: head.mapping_fingerprint,
            backfill_run_id: non_empty(head.backfill_run_id),
            origin: non_empty(head.origin),
            traceparent: raw.traceparent.and_then(traceparent),
            content_hash: survey.content_hash,
            value: value.into(),
            fields: head.fields.clone(),
            has_sensitive: survey.has_sensitive,
            is_sorted: survey.is_sorted,
        })
    }

    /// The Kafka value as read.
    pub fn raw(&self) -> &Arc<[u8]> {
        &self.value
    }

    /// The delivery of this record on its stream.
    pub fn delivery_id(&self, stream: &Stream) -> DeliveryId {
        DeliveryId {
            key_hash: crate::names::KeyHash::of_key(stream, &self.key),
            version: self.version,
        }
    }

    /// Bytes that this record keeps in memory.
    pub fn memory_bytes(&self) -> usize {
        let texts = [&self.backfill_run_id, &self.origin, &self.traceparent];
        let texts: usize = texts.into_iter().flatten().map(|text| text.len()).sum();
        size_of::<Self>() + self.value.len() + self.key.len() + texts
    }

    fn fields(&self) -> impl Iterator<Item = Field<'_>> {
        // All of them were read once, by `decode`: none fails here.
        field_entries(&self.value[self.fields.clone()])
            .filter_map(|(message, _)| Field::read(message).ok())
    }
}

/// What one pass over the attributes finds out.
struct Survey {
    content_hash: ContentHash,
    has_sensitive: bool,
    is_sorted: bool,
}

impl Survey {
    fn of(fields: &[u8]) -> Result<Self, Flaw> {
        let mut hasher = ContentHasher::default();
        let (mut has_sensitive, mut is_sorted, mut previous) = (false, true, "");
        for (message, raw) in field_entries(fields) {
            let field = Field::read(message)?;
            field.check()?;
            if !field.is_volatile {
                hasher.add(raw);
            }
            has_sensitive |= field.is_sensitive;
            is_sorted &= previous < field.name;
            previous = field.name;
        }
        if !is_sorted {
            refuse_repeated_names(fields)?;
        }
        Ok(Self {
            content_hash: hasher.finish(),
            has_sensitive,
            is_sorted,
        })
    }
}

fn committed_at(head: &Head<'_>) -> Result<Timestamp, Flaw> {
    let message = head.committed_at.ok_or(Flaw::NoCommittedAt)?;
    let (seconds, nanoseconds) = value::timestamp(message).map_err(|_| Flaw::CommittedAt)?;
    Timestamp::new(seconds, nanoseconds.cast_signed()).map_err(|_| Flaw::CommittedAt)
}

fn refuse_repeated_names(fields: &[u8]) -> Result<(), Flaw> {
    let mut names = field_entries(fields)
        .map(|(message, _)| Ok(Field::read(message)?.name))
        .collect::<Result<Vec<_>, FieldFlaw>>()?;
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Flaw::FieldTwice(
            pair[0].chars().take(NAMED_CHARS_MAX).collect(),
        )),
        None => Ok(()),
    }
}

/// The attributes among the entries: each its message, and the entry as it stands. The head has read the entries once.
fn field_entries(entries: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    Entries::of(entries).filter_map(|entry| match entry {
        Ok(entry) => match (entry.number, entry.payload) {
            (head::FIELDS, Payload::Bytes(message)) => Some((message, entry.raw)),
            _ => None,
        },
        Err(_) => None,
    })
}

impl Quarantine {
    fn unreadable(flaw: &HeadFlaw) -> Self {
        Self {
            class: flaw.class(),
            error: flaw.to_string(),
            readable: None,
        }
    }
}

fn non_empty(text: &str) -> Option<Box<str>> {
    (!text.is_empty()).then(|| text.into())
}

/// `00-<32 hex>-<16 hex>-<2 hex>`: <https://www.w3.org/TR/trace-context/#traceparent-header-field-values>.
fn traceparent(header: &[u8]) -> Option<Box<str>> {
    let text = std::str::from_utf8(header).ok()?;
    let mut lengths = text.split('-').map(str::len);
    let has_form = [2, 32, 16, 2]
        .into_iter()
        .all(|l| lengths.next() == Some(l))
        && lengths.next().is_none()
        && text
            .bytes()
            .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f' | b'-'));
    has_form.then(|| text.into())
}

#[cfg(test)]
mod tests;
