//! For how long a consumer asks to be left alone.

use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::Offset;

use crate::exchange::{End, Exchange};
use crate::time::Timestamp;

/// The forms of a date that HTTP has had; the first is the one in use
/// (<https://www.rfc-editor.org/rfc/rfc9110#name-date-time-formats>).
const DATE_FORMATS: [&str; 3] = [
    "%a, %d %b %Y %H:%M:%S GMT",
    "%A, %d-%b-%y %H:%M:%S GMT",
    "%a %b %e %H:%M:%S %Y",
];

/// The wait that an answer's `retry-after` asks for, in seconds or as a date, at most `max`. None without such a header,
/// or where it is neither.
pub fn retry_after(exchange: &Exchange, wall: Timestamp, max: Duration) -> Option<Duration> {
    let End::Answered(answer) = &exchange.end else {
        return None;
    };
    let text = answer.header("retry-after")?.trim();
    let asked = seconds(text).or_else(|| until(text, wall))?;
    Some(asked.min(max))
}

fn seconds(text: &str) -> Option<Duration> {
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| Duration::from_secs(text.parse().unwrap_or(u64::MAX)))
}

fn until(text: &str, wall: Timestamp) -> Option<Duration> {
    let date = DATE_FORMATS
        .iter()
        .find_map(|format| DateTime::strptime(format, text).ok())?;
    let ahead = date.duration_since(Offset::UTC.to_datetime(wall));
    // A date that has passed asks for nothing.
    Some(Duration::try_from(ahead).unwrap_or_default())
}
