//! Dates and times as JSON shows them: RFC 3339 in UTC, years 1-9999, 6 fraction digits, 9 when there are nanoseconds.

use std::ops::RangeInclusive;

/// Days since 1970-01-01 of the years 1-9999.
pub const DAYS: RangeInclusive<i64> = -719_162..=2_932_896;
/// Seconds since 1970-01-01T00:00:00Z of the years 1-9999.
pub const SECONDS: RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;
/// Nanoseconds of a day; there are no leap seconds in this calendar.
pub const DAY_NANOSECONDS: u64 = 86_400_000_000_000;

const DAY_SECONDS: i64 = 86_400;

/// Writes `2026-11-22T06:46:00.123456Z`. The seconds lie within [`SECONDS`].
pub fn write_timestamp(out: &mut Vec<u8>, seconds: i64, nanoseconds: u32) {
    write_date(out, seconds.div_euclid(DAY_SECONDS));
    out.push(b'T');
    let of_day = seconds.rem_euclid(DAY_SECONDS).unsigned_abs();
    write_time(out, of_day * 1_000_000_000 + u64::from(nanoseconds));
    out.push(b'Z');
}

/// Writes `2026-11-22`. The day lies within [`DAYS`].
pub fn write_date(out: &mut Vec<u8>, day: i64) {
    let (year, month, day) = civil(day);
    write_digits::<4>(out, year);
    out.push(b'-');
    write_digits::<2>(out, month);
    out.push(b'-');
    write_digits::<2>(out, day);
}

/// Writes `06:46:00.123456`. The time lies below [`DAY_NANOSECONDS`].
pub fn write_time(out: &mut Vec<u8>, nanoseconds: u64) {
    let seconds = nanoseconds / 1_000_000_000;
    write_digits::<2>(out, seconds / 3_600);
    out.push(b':');
    write_digits::<2>(out, seconds / 60 % 60);
    out.push(b':');
    write_digits::<2>(out, seconds % 60);
    out.push(b'.');
    let fraction = nanoseconds % 1_000_000_000;
    if fraction.is_multiple_of(1_000) {
        write_digits::<6>(out, fraction / 1_000);
    } else {
        write_digits::<9>(out, fraction);
    }
}

/// Year, month and day of a day number, in the proleptic Gregorian calendar: days are counted from 0000-03-01, so that
/// the leap day is a year's last (<https://howardhinnant.github.io/date_algorithms.html#civil_from_days>).
fn civil(day: i64) -> (u64, u64, u64) {
    let since_march = (day + 719_468).unsigned_abs();
    let (era, of_era) = (since_march / 146_097, since_march % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_since_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_since_march + 2) / 5 + 1;
    let (month, year_offset) = match month_since_march {
        0..=9 => (month_since_march + 3, 0),
        _ => (month_since_march - 9, 1),
    };
    (year_of_era + era * 400 + year_offset, month, day)
}

fn write_digits<const WIDTH: usize>(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [b'0'; WIDTH];
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789"[(number % 10) as usize];
        number /= 10;
    }
    out.extend_from_slice(&digits);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(write: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_years_1_to_9999_are_covered_to_their_last_nanosecond() {
        assert_eq!(written(|out| write_date(out, *DAYS.start())), "0001-01-01");
        assert_eq!(written(|out| write_date(out, *DAYS.end())), "9999-12-31");
        assert_eq!(
            written(|out| write_timestamp(out, *SECONDS.start(), 0)),
            "0001-01-01T00:00:00.000000Z"
        );
        assert_eq!(
            written(|out| write_timestamp(out, *SECONDS.end(), 999_999_999)),
            "9999-12-31T23:59:59.999999999Z"
        );
    }

    #[test]
    fn nanoseconds_make_nine_digits() {
        assert_eq!(written(|out| write_time(out, 0)), "00:00:00.000000");
        assert_eq!(
            written(|out| write_time(out, 24_360_123_456_000)),
            "06:46:00.123456"
        );
        assert_eq!(
            written(|out| write_time(out, DAY_NANOSECONDS - 1)),
            "23:59:59.999999999"
        );
    }

    proptest! {
        #[test]
        fn times_agree_with_the_calendar_of_jiff(seconds in -62_135_596_800_i64..253_402_207_200, nanoseconds in 0..1_000_000_000_u32) {
            let nanosecond = i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
            let timestamp = crate::time::Timestamp::from_nanosecond(nanosecond).unwrap();
            prop_assert_eq!(written(|out| write_timestamp(out, seconds, nanoseconds)), crate::time::rfc3339(timestamp));
        }
    }
}
