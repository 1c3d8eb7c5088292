//! Values whose class decides, as computes return them.

use magnus::{Float, Integer, RArray, RHash, RString, Ruby, Symbol, Time, Value, prelude::*};

use super::{Refusal, document, duration, put_list};
use crate::{
    classes::{BIG_DECIMAL, DATE, DATE_TIME, DURATION, TIME_WITH_ZONE},
    kind::Kind,
};

pub fn put(ruby: &Ruby, out: &mut Vec<u8>, value: Value) -> Result<(), Refusal> {
    if is_scalar(ruby, value) {
        put_scalar(ruby, out, value)
    } else if is_list_of_scalars(ruby, value) {
        put_list(ruby, out, &Kind::Dynamic, None, value)
    } else if is_container(value) {
        document::put(ruby, out, &Kind::Dynamic, None, value)
    } else {
        Err(Refusal::wrong_class(value, Kind::Dynamic.noun()))
    }
}

/// Appends a value that [`is_scalar`].
pub fn put_scalar(ruby: &Ruby, out: &mut Vec<u8>, value: Value) -> Result<(), Refusal> {
    match scalar_kind(ruby, value) {
        Some(kind) => super::put(ruby, out, &kind, None, value),
        None => duration::put(ruby, out, value),
    }
}

/// Whether the class alone says what the value becomes.
pub fn is_scalar(ruby: &Ruby, value: Value) -> bool {
    scalar_kind(ruby, value).is_some() || DURATION.includes(ruby, value)
}

fn scalar_kind(ruby: &Ruby, value: Value) -> Option<Kind> {
    let is_any = |kinds: &[magnus::RClass]| kinds.iter().any(|&class| value.is_kind_of(class));
    if is_any(&[
        ruby.class_nil_class(),
        ruby.class_true_class(),
        ruby.class_false_class(),
    ]) {
        Some(Kind::Bool)
    } else if Integer::from_value(value).is_some() {
        Some(Kind::Integer)
    } else if Float::from_value(value).is_some() {
        Some(Kind::Float)
    } else if RString::from_value(value).is_some() || Symbol::from_value(value).is_some() {
        Some(Kind::String)
    } else if Time::from_value(value).is_some()
        || TIME_WITH_ZONE.includes(ruby, value)
        || DATE_TIME.includes(ruby, value)
    {
        // Before `Date`: a `DateTime` is one.
        Some(Kind::Timestamp)
    } else if DATE.includes(ruby, value) {
        Some(Kind::Date)
    } else if BIG_DECIMAL.includes(ruby, value) {
        Some(Kind::Decimal)
    } else {
        None
    }
}

fn is_list_of_scalars(ruby: &Ruby, value: Value) -> bool {
    RArray::from_value(value)
        .is_some_and(|list| list.into_iter().all(|element| is_scalar(ruby, element)))
}

fn is_container(value: Value) -> bool {
    RArray::from_value(value).is_some() || RHash::from_value(value).is_some()
}
