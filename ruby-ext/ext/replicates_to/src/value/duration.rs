//! `ActiveSupport::Duration` as ISO 8601, exact to the nanosecond: its own `iso8601` keeps six digits, and writes 1e-06.

use magnus::{RHash, RString, Ruby, Value, prelude::*};

use super::{Refusal, number};
use crate::{decimal, gvl, wire::put_bytes};

const NANO: i128 = 1_000_000_000;
/// Digits that fit beside nine of a fraction; more years than anyone has.
const DIGITS_MAX: i64 = 29;

pub fn put(ruby: &Ruby, out: &mut Vec<u8>, value: Value) -> Result<(), Refusal> {
    let parts: RHash = value
        .funcall("parts", ())
        .map_err(|error| Refusal::from_ruby(ruby, error))?;
    let part = |name| nanos(ruby, parts, name);
    let (years, months, mut weeks, mut days) = (
        part("years")?,
        part("months")?,
        part("weeks")?,
        part("days")?,
    );
    // ISO 8601 has weeks in a form of their own, without other parts of a date.
    if years != 0 || months != 0 || days != 0 {
        days = days.saturating_add(weeks.saturating_mul(7));
        weeks = 0;
    }
    let date = [(years, b'Y'), (months, b'M'), (weeks, b'W'), (days, b'D')];
    let time = [
        (part("hours")?, b'H'),
        (part("minutes")?, b'M'),
        (part("seconds")?, b'S'),
    ];
    let mut text = vec![b'P'];
    put_parts(&mut text, date);
    if time.iter().any(|&(nanos, _)| nanos != 0) {
        text.push(b'T');
        put_parts(&mut text, time);
    }
    if text == b"P" {
        text.extend(b"T0S");
    }
    put_bytes(out, number::STRING, &text);
    Ok(())
}

/// A part that is zero is not written; each has a sign of its own, as in an interval of the database.
fn put_parts(text: &mut Vec<u8>, parts: impl IntoIterator<Item = (i128, u8)>) {
    for (nanos, letter) in parts.into_iter().filter(|&(nanos, _)| nanos != 0) {
        let size = nanos.unsigned_abs();
        let (whole, fraction) = (size / NANO.unsigned_abs(), size % NANO.unsigned_abs());
        decimal::put_plain(
            text,
            nanos < 0,
            whole.to_string().as_bytes(),
            format!("{fraction:09}").as_bytes(),
            None,
        );
        text.push(letter);
    }
}

/// A part in billionths of its unit; parts may be floats and fractions.
fn nanos(ruby: &Ruby, parts: RHash, name: &str) -> Result<i128, Refusal> {
    let Some(part) = parts.get(ruby.to_symbol(name)) else {
        return Ok(0);
    };
    let digits = || -> Result<RString, magnus::Error> {
        let exact: Value = part.funcall("to_r", ())?;
        let nanos: Value = exact.funcall("*", (1_000_000_000,))?;
        let rounded: Value = nanos.funcall("round", ())?;
        rounded.funcall("to_s", ())
    };
    let digits = digits().map_err(|error| Refusal::from_ruby(ruby, error))?;
    std::str::from_utf8(&gvl::bytes(digits))
        .ok()
        .and_then(|digits| digits.parse().ok())
        .ok_or(Refusal::TooManyDigits(DIGITS_MAX))
}
