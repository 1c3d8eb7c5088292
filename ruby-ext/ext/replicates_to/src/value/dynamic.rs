//! Values whose class decides, as computes return them.

use magnus::{Float, Integer, RArray, RHash, RString, Ruby, Symbol, Time, Value, prelude::*};

use super::{Refusal, put_list, text};
use crate::{
    classes::{self, BIG_DECIMAL, DATE, DATE_TIME, DURATION, TIME_WITH_ZONE},
    kind::Kind,
};

pub fn put(ruby: &Ruby, out: &mut Vec<u8>, value: Value) -> Result<(), Refusal> {
    match scalar_kind(ruby, value) {
        Some(kind) => super::put(ruby, out, &kind, None, value),
        None if DURATION.includes(ruby, value) => {
            let text: RString = value
                .funcall("iso8601", ())
                .map_err(|error| Refusal::from_ruby(ruby, error))?;
            text::put_string(ruby, out, text.as_value())
        }
        None if is_list_of_scalars(ruby, value) => put_list(ruby, out, &Kind::Dynamic, None, value),
        None if RArray::from_value(value).is_some() || RHash::from_value(value).is_some() => {
            text::put_json(
                ruby,
                out,
                json(ruby, value).map_err(|error| Refusal::from_ruby(ruby, error))?,
            )
        }
        None => Err(Refusal::wrong_class(value, Kind::Dynamic.noun())),
    }
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
    RArray::from_value(value).is_some_and(|list| {
        list.into_iter()
            .all(|element| scalar_kind(ruby, element).is_some() || DURATION.includes(ruby, element))
    })
}

/// `ActiveSupport` knows how to write times and decimals; plain Ruby does not.
fn json(ruby: &Ruby, value: Value) -> Result<Value, magnus::Error> {
    if let Some(active_support) = classes::loaded_constant(ruby, &["ActiveSupport"]) {
        // Here an autoload is welcome: what is there of `ActiveSupport` decides how its classes are written.
        let json: Value = active_support.funcall("const_get", ("JSON",))?;
        return json.funcall("encode", (value,));
    }
    ruby.require("json")?;
    ruby.class_object()
        .const_get::<_, Value>("JSON")?
        .funcall("generate", (value,))
}
