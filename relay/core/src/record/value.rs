//! A value of a field: read from its bytes without copying, range-checked, lists read item by item.

use super::calendar;
use super::wire::{Entries, Malformed, Payload, zigzag};

/// Lists within lists, at most: bounds the stack. Columns hold one level, more travel as JSON.
const LISTS_DEEP_MAX: usize = 32;

/// Every kind of value there is.
#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    Null,
    Bool(bool),
    Int64(i64),
    String(&'a str),
    Bytes(&'a [u8]),
    Decimal(&'a str),
    Timestamp {
        seconds: i64,
        nanoseconds: u32,
    },
    /// Days since 1970-01-01.
    Date(i64),
    /// Nanoseconds since midnight.
    TimeOfDay(u64),
    Double(f64),
    Json(&'a str),
    List(List<'a>),
}

/// Why bytes are not a value that can be delivered.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ValueFlaw {
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("a value has no kind")]
    NoKind,
    #[error("a value has more than one kind")]
    TwoKinds,
    #[error("{0} is not a kind of value")]
    UnknownKind(u32),
    #[error("the value of kind {0} has another wire type")]
    WireType(u32),
    #[error("a null_value is not true")]
    FalseNull,
    #[error("a text is not UTF-8")]
    NotUtf8,
    #[error("a timestamp is malformed or outside the years 1-9999")]
    Timestamp,
    #[error("{0} is not a day of the years 1-9999")]
    Date(i64),
    #[error("{0} is not a nanosecond of a day")]
    TimeOfDay(u64),
    #[error("a json_value is not JSON")]
    NotJson,
    #[error("a list holds something other than values: entry {0}")]
    ListEntry(u32),
    #[error("lists are nested more than {LISTS_DEEP_MAX} deep")]
    TooDeep,
}

impl<'a> Value<'a> {
    /// Reads one value; the items of a list and the text of a JSON value are left to [`Value::check`].
    pub fn read(message: &'a [u8]) -> Result<Self, ValueFlaw> {
        let mut entries = Entries::of(message);
        let entry = entries.next().ok_or(ValueFlaw::NoKind)??;
        if entries.next().transpose()?.is_some() {
            return Err(ValueFlaw::TwoKinds);
        }
        Ok(match (entry.number, entry.payload) {
            (1, Payload::Varint(1)) => Self::Null,
            (1, Payload::Varint(_)) => return Err(ValueFlaw::FalseNull),
            (2, Payload::Varint(bit)) => Self::Bool(bit != 0),
            (3, Payload::Varint(number)) => Self::Int64(zigzag(number)),
            (4, Payload::Bytes(bytes)) => Self::String(text(bytes)?),
            (5, Payload::Bytes(bytes)) => Self::Bytes(bytes),
            (6, Payload::Bytes(bytes)) => Self::Decimal(text(bytes)?),
            (7, Payload::Bytes(message)) => {
                let (seconds, nanoseconds) = timestamp(message)?;
                Self::Timestamp {
                    seconds,
                    nanoseconds,
                }
            }
            (8, Payload::Varint(number)) => match zigzag(number) {
                day if calendar::DAYS.contains(&day) => Self::Date(day),
                day => return Err(ValueFlaw::Date(day)),
            },
            (9, Payload::Varint(time)) if time < calendar::DAY_NANOSECONDS => Self::TimeOfDay(time),
            (9, Payload::Varint(time)) => return Err(ValueFlaw::TimeOfDay(time)),
            (10, Payload::Fixed64(bits)) => Self::Double(f64::from_bits(bits)),
            (11, Payload::Bytes(bytes)) => Self::Json(text(bytes)?),
            (12, Payload::Bytes(message)) => Self::List(List { message }),
            (known @ 1..=12, _) => return Err(ValueFlaw::WireType(known)),
            (unknown, _) => return Err(ValueFlaw::UnknownKind(unknown)),
        })
    }

    /// Checks what [`Value::read`] left unread, so that rendering cannot fail.
    pub fn check(&self) -> Result<(), ValueFlaw> {
        self.check_below(LISTS_DEEP_MAX)
    }

    fn check_below(&self, lists_left: usize) -> Result<(), ValueFlaw> {
        match self {
            Self::Json(text) => match serde_json::from_str::<serde::de::IgnoredAny>(text) {
                Ok(_) => Ok(()),
                Err(_) => Err(ValueFlaw::NotJson),
            },
            Self::List(list) => {
                let lists_left = lists_left.checked_sub(1).ok_or(ValueFlaw::TooDeep)?;
                list.read()
                    .try_for_each(|item| item?.check_below(lists_left))
            }
            Self::Null
            | Self::Bool(_)
            | Self::Int64(_)
            | Self::String(_)
            | Self::Bytes(_)
            | Self::Decimal(_)
            | Self::Timestamp { .. }
            | Self::Date(_)
            | Self::TimeOfDay(_)
            | Self::Double(_) => Ok(()),
        }
    }
}

/// The items of a list, unread.
#[derive(Debug, Clone, Copy)]
pub struct List<'a> {
    message: &'a [u8],
}

impl<'a> List<'a> {
    /// The items of a list that was checked.
    pub fn items(self) -> impl Iterator<Item = Value<'a>> {
        self.read().filter_map(Result::ok)
    }

    fn read(self) -> impl Iterator<Item = Result<Value<'a>, ValueFlaw>> {
        Entries::of(self.message).map(|entry| {
            let entry = entry?;
            match (entry.number, entry.payload) {
                (1, Payload::Bytes(message)) => Value::read(message),
                (number, _) => Err(ValueFlaw::ListEntry(number)),
            }
        })
    }
}

/// Seconds and nanoseconds of a `google.protobuf.Timestamp`.
pub fn timestamp(message: &[u8]) -> Result<(i64, u32), ValueFlaw> {
    let (mut seconds, mut nanoseconds) = (None, None);
    for entry in Entries::of(message) {
        let entry = entry?;
        let slot = match entry.number {
            1 => &mut seconds,
            2 => &mut nanoseconds,
            _ => return Err(ValueFlaw::Timestamp),
        };
        match entry.payload {
            Payload::Varint(number) if slot.is_none() => *slot = Some(number),
            _ => return Err(ValueFlaw::Timestamp),
        }
    }
    let seconds = seconds.unwrap_or(0).cast_signed();
    match u32::try_from(nanoseconds.unwrap_or(0)) {
        Ok(nanoseconds) if nanoseconds < 1_000_000_000 && calendar::SECONDS.contains(&seconds) => {
            Ok((seconds, nanoseconds))
        }
        _ => Err(ValueFlaw::Timestamp),
    }
}

fn text(bytes: &[u8]) -> Result<&str, ValueFlaw> {
    std::str::from_utf8(bytes).map_err(|_| ValueFlaw::NotUtf8)
}
