//! An attribute of a record, read from its bytes without copying.

use super::value::{Value, ValueFlaw};
use super::wire::{Entries, Malformed, Payload};

/// One attribute.
#[derive(Debug, Clone, Copy)]
pub struct Field<'a> {
    pub name: &'a str,
    pub value: Value<'a>,
    pub is_sensitive: bool,
    pub is_volatile: bool,
}

/// Why bytes are not an attribute that can be delivered.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FieldFlaw {
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("an attribute has no name")]
    NoName,
    #[error("an attribute's name is not UTF-8")]
    NameNotUtf8,
    #[error("entry {0} of an attribute comes twice")]
    Twice(u32),
    /// Not skipped: a flag that this relay does not know may forbid what it is about to do with the value.
    #[error("entry {0} of an attribute is unknown")]
    Unknown(u32),
    #[error("entry {0} of an attribute has another wire type")]
    WireType(u32),
    #[error("attribute {name:?}: {flaw}")]
    Value { name: String, flaw: ValueFlaw },
}

impl<'a> Field<'a> {
    /// Reads one attribute; its value is read as far as [`Value::read`] goes.
    pub fn read(message: &'a [u8]) -> Result<Self, FieldFlaw> {
        let (mut name, mut value) = (None, None);
        let (mut sensitive, mut volatile) = (None, None);
        for entry in Entries::of(message) {
            let entry = entry?;
            let is_first = match (entry.number, entry.payload) {
                (1, Payload::Bytes(bytes)) => name.replace(bytes).is_none(),
                (2, Payload::Bytes(bytes)) => value.replace(bytes).is_none(),
                (3, Payload::Varint(bit)) => sensitive.replace(bit != 0).is_none(),
                (4, Payload::Varint(bit)) => volatile.replace(bit != 0).is_none(),
                (known @ 1..=4, _) => return Err(FieldFlaw::WireType(known)),
                (unknown, _) => return Err(FieldFlaw::Unknown(unknown)),
            };
            if !is_first {
                return Err(FieldFlaw::Twice(entry.number));
            }
        }
        let name = match name {
            None | Some([]) => return Err(FieldFlaw::NoName),
            Some(bytes) => std::str::from_utf8(bytes).map_err(|_| FieldFlaw::NameNotUtf8)?,
        };
        let value = value
            .ok_or(ValueFlaw::NoKind)
            .and_then(Value::read)
            .map_err(|flaw| FieldFlaw::of_value(name, flaw))?;
        Ok(Self {
            name,
            value,
            is_sensitive: sensitive.unwrap_or(false),
            is_volatile: volatile.unwrap_or(false),
        })
    }

    /// Checks the value to its depth.
    pub fn check(&self) -> Result<(), FieldFlaw> {
        self.value
            .check()
            .map_err(|flaw| FieldFlaw::of_value(self.name, flaw))
    }
}

impl FieldFlaw {
    fn of_value(name: &str, flaw: ValueFlaw) -> Self {
        let name = name.chars().take(super::NAMED_CHARS_MAX).collect();
        Self::Value { name, flaw }
    }
}
