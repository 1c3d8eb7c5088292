//! Dates, times of day and timestamps: the years 1 to 9999, which every consumer can read.

use magnus::{Float, Integer, Ruby, Time, Value, prelude::*, value::LazyId};

use super::{Offender, Refusal, number};
use crate::{
    classes::{DATE, DATE_TIME, TIME_WITH_ZONE},
    kind::Kind,
    wire::{put_timestamp as put_timestamp_field, put_varint, varint_tag, zigzag},
};

static JD: LazyId = LazyId::new("jd");
static UTC: LazyId = LazyId::new("utc");
static STRFTIME: LazyId = LazyId::new("strftime");

/// Julian day number of 1970-01-01.
const EPOCH_JD: i64 = 2_440_588;
/// 0001-01-01 and 9999-12-31 in days since 1970-01-01, counted in the Gregorian calendar throughout.
const DAYS: std::ops::RangeInclusive<i64> = -719_162..=2_932_896;
const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;
const SECONDS_PER_DAY: i64 = 86_400;
const NANOSECONDS_PER_SECOND: i64 = 1_000_000_000;

pub fn put_date(ruby: &Ruby, out: &mut Vec<u8>, value: Value) -> Result<(), Refusal> {
    let days = if DATE.includes(ruby, value) {
        let jd: i64 = ask(ruby, value, &JD).map_err(|refusal| outside_years(refusal, value))?;
        jd.saturating_sub(EPOCH_JD)
    } else {
        small_integer(value, &Kind::Date)?
    };
    if !DAYS.contains(&days) {
        return Err(Refusal::OutsideYears(Offender(value.to_string())));
    }
    out.push(varint_tag(number::DATE));
    put_varint(out, zigzag(days));
    Ok(())
}

pub fn put_time_of_day(ruby: &Ruby, out: &mut Vec<u8>, value: Value) -> Result<(), Refusal> {
    let nanoseconds = match time(ruby, value)? {
        // What a clock on the wall of the time's own zone shows.
        Some(time) => {
            let (seconds, nanoseconds) = instant(ruby, time)?;
            let second_of_day = seconds
                .saturating_add(time.utc_offset())
                .rem_euclid(SECONDS_PER_DAY);
            second_of_day * NANOSECONDS_PER_SECOND + i64::from(nanoseconds)
        }
        None => small_integer(value, &Kind::TimeOfDay)?,
    };
    // 24:00 is refused too: most clocks do not have it.
    if !(0..SECONDS_PER_DAY * NANOSECONDS_PER_SECOND).contains(&nanoseconds) {
        return Err(Refusal::OutsideDay(Offender(value.to_string())));
    }
    out.push(varint_tag(number::TIME_OF_DAY));
    put_varint(out, nanoseconds.cast_unsigned());
    Ok(())
}

pub fn put_timestamp(ruby: &Ruby, out: &mut Vec<u8>, value: Value) -> Result<(), Refusal> {
    let (seconds, nanoseconds) = match time(ruby, value)? {
        Some(time) => instant(ruby, time)?,
        None if DATE_TIME.includes(ruby, value) => instant_of_date_time(ruby, value)?,
        None => return Err(not(value, &Kind::Timestamp)),
    };
    if !SECONDS.contains(&seconds) {
        return Err(Refusal::OutsideYears(Offender(value.to_string())));
    }
    put_timestamp_field(out, number::TIMESTAMP, seconds, nanoseconds);
    Ok(())
}

/// The value as Ruby's own `Time`, if it is one or `ActiveSupport`'s, which is read in UTC as it is stored.
fn time(ruby: &Ruby, value: Value) -> Result<Option<Time>, Refusal> {
    if let Some(time) = Time::from_value(value) {
        return Ok(Some(time));
    }
    if TIME_WITH_ZONE.includes(ruby, value) {
        ask(ruby, value, &UTC).map(Some)
    } else {
        Ok(None)
    }
}

/// Seconds since 1970 and nanoseconds.
fn instant(ruby: &Ruby, time: Time) -> Result<(i64, u32), Refusal> {
    let timespec = time
        .timespec()
        .map_err(|error| outside_years(Refusal::from_ruby(ruby, error), time.as_value()))?;
    Ok((
        timespec.tv_sec,
        u32::try_from(timespec.tv_nsec).unwrap_or_default(),
    ))
}

/// The same of a `DateTime`. Its `to_time` would do, but `ActiveSupport` makes that depend on a setting, and warns of it.
fn instant_of_date_time(ruby: &Ruby, value: Value) -> Result<(i64, u32), Refusal> {
    let text: String = value
        .funcall(LazyId::get_inner_with(&STRFTIME, ruby), ("%s %N",))
        .map_err(|error| Refusal::from_ruby(ruby, error))?;
    text.split_once(' ')
        .and_then(|(seconds, nanoseconds)| Some((seconds.parse().ok()?, nanoseconds.parse().ok()?)))
        .ok_or_else(|| Refusal::OutsideYears(Offender(value.to_string())))
}

/// Ruby's times and dates have no end, but reading one far out fails: its year is the reason.
fn outside_years(refusal: Refusal, value: Value) -> Refusal {
    match refusal {
        Refusal::Unreadable(_) => Refusal::OutsideYears(Offender(value.to_string())),
        other => other,
    }
}

fn small_integer(value: Value, kind: &Kind) -> Result<i64, Refusal> {
    let integer = Integer::from_value(value).ok_or_else(|| not(value, kind))?;
    let is_date = *kind == Kind::Date;
    integer.to_i64().map_err(|_| {
        let offender = Offender(value.to_string());
        if is_date {
            Refusal::OutsideYears(offender)
        } else {
            Refusal::OutsideDay(offender)
        }
    })
}

/// Databases have infinite dates, which arrive as floats.
fn not(value: Value, kind: &Kind) -> Refusal {
    match Float::from_value(value) {
        Some(float) if float.to_f64().is_infinite() => Refusal::infinite(kind),
        _ => Refusal::wrong_class(value, kind.noun()),
    }
}

fn ask<T: magnus::TryConvert>(ruby: &Ruby, value: Value, method: &LazyId) -> Result<T, Refusal> {
    value
        .funcall(LazyId::get_inner_with(method, ruby), ())
        .map_err(|error| Refusal::from_ruby(ruby, error))
}
