//! Integers, decimals and floats.

use magnus::{
    Fixnum, Float, Integer, RString, Ruby, Value,
    prelude::*,
    value::{Lazy, LazyId},
};

use super::{Refusal, number};
use crate::{
    classes::BIG_DECIMAL,
    decimal::{self, Number},
    gvl,
    kind::Kind,
    wire::{fixed64_tag, put_bytes, put_varint, varint_tag, zigzag},
};

static TO_S: LazyId = LazyId::new("to_s");
static EXPONENT: LazyId = LazyId::new("exponent");
/// Asks `BigDecimal#to_s` for plain notation.
static PLAIN: Lazy<RString> = Lazy::new(|ruby| {
    let format = ruby.str_new("F");
    format.freeze();
    format
});

/// Most digits before or after the point. A numeric column holds at most 131,072 and 16,383; what is longer is an
/// exponent gone astray.
const DIGITS_MAX: i64 = 150_000;

pub fn put_integer(ruby: &Ruby, out: &mut Vec<u8>, value: Value) -> Result<(), Refusal> {
    if let Some(small) = Fixnum::from_value(value) {
        put_int64(out, small.to_i64());
        return Ok(());
    }
    let integer = Integer::from_value(value)
        .ok_or_else(|| Refusal::wrong_class(value, Kind::Integer.noun()))?;
    match integer.to_i64() {
        Ok(integer) => put_int64(out, integer),
        // Exact all the same: what int64 cannot hold travels as a decimal.
        Err(_) => put_bytes(out, number::DECIMAL, &digits(ruby, value)?),
    }
    Ok(())
}

fn put_int64(out: &mut Vec<u8>, integer: i64) {
    out.push(varint_tag(number::INT64));
    put_varint(out, zigzag(integer));
}

pub fn put_float(out: &mut Vec<u8>, value: Value) -> Result<(), Refusal> {
    let float = Float::from_value(value)
        .ok_or_else(|| Refusal::wrong_class(value, Kind::Float.noun()))?
        .to_f64();
    // There are many NaNs; equal rows have equal bytes, so there is one on the wire.
    let float = if float.is_nan() { f64::NAN } else { float };
    out.push(fixed64_tag(number::DOUBLE));
    out.extend(float.to_le_bytes());
    Ok(())
}

pub fn put_decimal(
    ruby: &Ruby,
    out: &mut Vec<u8>,
    scale: Option<usize>,
    value: Value,
) -> Result<(), Refusal> {
    let text = if Integer::from_value(value).is_some() {
        digits(ruby, value)?
    } else if BIG_DECIMAL.includes(ruby, value) {
        plain_digits(ruby, value)?
    } else {
        return Err(Refusal::wrong_class(value, Kind::Decimal.noun()));
    };
    match decimal::parse(&text) {
        Some(Number::Nan) => put_bytes(out, number::DECIMAL, b"NaN"),
        Some(Number::Infinite) => return Err(Refusal::infinite(&Kind::Decimal)),
        Some(Number::Finite {
            is_negative,
            whole,
            fraction,
        }) => {
            let mut plain = Vec::with_capacity(text.len() + scale.unwrap_or(0) + 1);
            decimal::put_plain(&mut plain, is_negative, whole, fraction, scale);
            put_bytes(out, number::DECIMAL, &plain);
        }
        None => return Err(Refusal::wrong_class(value, Kind::Decimal.noun())),
    }
    Ok(())
}

/// What `to_s` says of an integer.
fn digits(ruby: &Ruby, value: Value) -> Result<Vec<u8>, Refusal> {
    let to_s = LazyId::get_inner_with(&TO_S, ruby);
    let text = value
        .funcall(to_s, ())
        .map_err(|error| Refusal::from_ruby(ruby, error))?;
    Ok(gvl::bytes(text))
}

/// What `to_s` says of a `BigDecimal` in plain notation, which it writes three times as fast as the scientific one: the
/// one Ruby object that a decimal costs.
fn plain_digits(ruby: &Ruby, value: Value) -> Result<Vec<u8>, Refusal> {
    let refused = |error| Refusal::from_ruby(ruby, error);
    let exponent: i64 = value
        .funcall(LazyId::get_inner_with(&EXPONENT, ruby), ())
        .map_err(refused)?;
    // Asked first: plain notation of an exponent gone astray would fill the memory with zeros.
    if exponent.saturating_abs() > DIGITS_MAX {
        return Err(Refusal::TooManyDigits(DIGITS_MAX));
    }
    let to_s = LazyId::get_inner_with(&TO_S, ruby);
    let text = value
        .funcall(to_s, (ruby.get_inner(&PLAIN),))
        .map_err(refused)?;
    Ok(gvl::bytes(text))
}
