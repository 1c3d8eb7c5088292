//! One Ruby value as the content of a `Value` message, straight into the bytes: no object in between.

mod calendar;
mod document;
mod duration;
mod dynamic;
mod numeric;
mod text;

pub use text::append as append_text;

use magnus::{RArray, Ruby, Value, prelude::*};

use crate::{
    kind::Kind,
    wire::{put_bytes, varint_tag},
};

/// Field numbers of `Value`'s kinds.
pub mod number {
    pub const NULL: u8 = 1;
    pub const BOOL: u8 = 2;
    pub const INT64: u8 = 3;
    pub const STRING: u8 = 4;
    pub const BYTES: u8 = 5;
    pub const DECIMAL: u8 = 6;
    pub const TIMESTAMP: u8 = 7;
    pub const DATE: u8 = 8;
    pub const TIME_OF_DAY: u8 = 9;
    pub const DOUBLE: u8 = 10;
    pub const JSON: u8 = 11;
    pub const LIST: u8 = 12;
}

/// Why a value, or a key, cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("text is not UTF-8")]
    NotText,
    #[error("{class} is not {expected}")]
    WrongClass {
        class: String,
        expected: &'static str,
    },
    #[error("{0} is not {1}")]
    Infinite(Offender, &'static str),
    #[error("{0} is outside the years 1 to 9999")]
    OutsideYears(Offender),
    #[error("{0} is outside a day")]
    OutsideDay(Offender),
    #[error("more than {0} digits")]
    TooManyDigits(i64),
    #[error("is nested more than {0} deep")]
    TooDeep(usize),
    #[error("is empty")]
    Empty,
    #[error("{0} bytes, more than 512")]
    LongKey(usize),
    #[error("holds a control character")]
    ControlCharacter,
    /// Ruby raised while it was asked for the value. Only the class is told: a message may quote the value.
    #[error("cannot be read ({0})")]
    Unreadable(String),
    /// Ctrl-C and its like, not to be mistaken for a bad value.
    #[error("{0}")]
    Interrupted(magnus::Error),
}

/// A value in a message, unless its field is sensitive.
#[derive(Debug)]
pub struct Offender(pub String);

impl std::fmt::Display for Offender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Refusal {
    /// The same without the value.
    pub fn masked(self) -> Self {
        let mask = || Offender("***".to_owned());
        match self {
            Self::Infinite(_, noun) => Self::Infinite(mask(), noun),
            Self::OutsideYears(_) => Self::OutsideYears(mask()),
            Self::OutsideDay(_) => Self::OutsideDay(mask()),
            other => other,
        }
    }

    fn infinite(kind: &Kind) -> Self {
        Self::Infinite(Offender("infinity".to_owned()), kind.noun())
    }

    fn from_ruby(ruby: &Ruby, error: magnus::Error) -> Self {
        if crate::failure::is_interrupt(ruby, &error) {
            return Self::Interrupted(error);
        }
        let class = error
            .value()
            .map_or_else(|| "StandardError".to_owned(), class_name);
        Self::Unreadable(class)
    }

    fn wrong_class(value: Value, expected: &'static str) -> Self {
        let class = class_name(value);
        let article = if class.starts_with(['A', 'E', 'I', 'O', 'U']) {
            "an"
        } else {
            "a"
        };
        Self::WrongClass {
            class: format!("{article} {class}"),
            expected,
        }
    }
}

/// The real class, not the one that the value pretends to have.
fn class_name(value: Value) -> String {
    value.class().to_string()
}

/// Appends the content of the `Value` message of `value`. `scale` counts for decimals only.
pub fn put(
    ruby: &Ruby,
    out: &mut Vec<u8>,
    kind: &Kind,
    scale: Option<usize>,
    value: Value,
) -> Result<(), Refusal> {
    if value.is_nil() {
        out.extend([varint_tag(number::NULL), 1]);
        return Ok(());
    }
    match kind {
        Kind::Bool => put_bool(ruby, out, value),
        Kind::Integer => numeric::put_integer(ruby, out, value),
        Kind::Decimal => numeric::put_decimal(ruby, out, scale, value),
        Kind::Float => numeric::put_float(out, value),
        Kind::String => text::put_string(ruby, out, value),
        Kind::Bytes => text::put_bytes(out, value),
        Kind::Json => text::put_json(ruby, out, value),
        Kind::Date => calendar::put_date(ruby, out, value),
        Kind::TimeOfDay => calendar::put_time_of_day(ruby, out, value),
        Kind::Timestamp => calendar::put_timestamp(ruby, out, value),
        Kind::Dynamic => dynamic::put(ruby, out, value),
        Kind::List(kind) => put_list(ruby, out, kind, scale, value),
    }
}

fn put_bool(ruby: &Ruby, out: &mut Vec<u8>, value: Value) -> Result<(), Refusal> {
    if !value.is_kind_of(ruby.class_true_class()) && !value.is_kind_of(ruby.class_false_class()) {
        return Err(Refusal::wrong_class(value, Kind::Bool.noun()));
    }
    out.extend([varint_tag(number::BOOL), u8::from(value.to_bool())]);
    Ok(())
}

fn put_list(
    ruby: &Ruby,
    out: &mut Vec<u8>,
    kind: &Kind,
    scale: Option<usize>,
    value: Value,
) -> Result<(), Refusal> {
    let list = RArray::from_value(value).ok_or_else(|| Refusal::wrong_class(value, "a list"))?;
    let nests = |element| RArray::from_value(element).is_some();
    if !matches!(kind, Kind::List(_)) && list.into_iter().any(nests) {
        // Of several dimensions, which a column's type does not tell.
        return document::put(ruby, out, kind, scale, value);
    }
    let mut values = Vec::new();
    let mut content = Vec::new();
    // Asked anew each time: reading an element may run Ruby code, which may change the list.
    let mut at = 0;
    while at < list.len() {
        let element: Value = list
            .entry(at.cast_signed())
            .map_err(|error| Refusal::from_ruby(ruby, error))?;
        content.clear();
        put(ruby, &mut content, kind, scale, element)?;
        put_bytes(&mut values, 1, &content);
        at += 1;
    }
    put_bytes(out, number::LIST, &values);
    Ok(())
}
