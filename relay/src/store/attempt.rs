//! A row of the log, read back.

use std::fmt;
use std::str::FromStr;

use relay_core::exchange::{ErrorClass, Timings};
use relay_core::names::{Coordinates, DeliveryId};
use relay_core::rows::{Cause, Outcome, Subject};
use relay_core::time::Timestamp;

use super::delivery::{NotACursor, Page};

/// One attempt, or the end of a record without one (attempt 0).
#[derive(Debug, Clone)]
pub struct Attempt {
    pub attempted_at: Timestamp,
    pub expires_at: Timestamp,
    pub subject: Subject,
    pub attempt: u32,
    pub cause: Cause,
    pub outcome: Outcome,
    pub status: Option<u16>,
    pub error_class: Option<ErrorClass>,
    pub error: Option<String>,
    /// None without a request.
    pub exchange: Option<LoggedExchange>,
    pub coordinates: Coordinates,
    /// The request that carried it, where requests carry several.
    pub batch_id: Option<String>,
    pub replica: String,
}

/// The request of an attempt, masked as it was when it was logged.
#[derive(Debug, Clone, PartialEq)]
pub struct LoggedExchange {
    pub method: String,
    pub url: String,
    /// JSON object of strings.
    pub request_headers: Option<String>,
    pub request_body: Option<Vec<u8>>,
    /// JSON object of strings.
    pub response_headers: Option<String>,
    pub response_body: Option<Vec<u8>>,
    pub timings: Timings,
}

/// Which attempts are asked for; what is none does not narrow.
#[derive(Debug, Clone)]
pub struct AttemptFilter {
    pub destination: Option<String>,
    pub model: Option<String>,
    pub key: Option<String>,
    pub outcome: Option<Outcome>,
    pub status: Option<u16>,
    pub error_class: Option<ErrorClass>,
    /// Attempted at or after. Required: without it every partition would be read.
    pub since: Timestamp,
    /// Attempted before.
    pub until: Option<Timestamp>,
}

impl Page<Attempt, AttemptCursor> {
    /// A page of at most `limit` rows, of which one more was asked for.
    pub(super) fn of_attempts(mut rows: Vec<Attempt>, limit: u32) -> Self {
        let has_more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let next = rows.last().filter(|_| has_more).map(AttemptCursor::of);
        Self { rows, next }
    }
}

/// The last attempt of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptCursor {
    pub(super) attempted_at: Timestamp,
    pub(super) id: DeliveryId,
    pub(super) attempt: u32,
}

impl AttemptCursor {
    /// The cursor of a page that ends with this attempt.
    pub(super) fn of(attempt: &Attempt) -> Self {
        Self {
            attempted_at: attempt.attempted_at,
            id: attempt.subject.id,
            attempt: attempt.attempt,
        }
    }
}

impl fmt::Display for AttemptCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}.{}.{}",
            self.attempted_at.as_microsecond(),
            self.attempt,
            self.id
        )
    }
}

impl FromStr for AttemptCursor {
    type Err = NotACursor;

    fn from_str(text: &str) -> Result<Self, NotACursor> {
        parse(text).ok_or_else(|| NotACursor(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<AttemptCursor> {
    let mut parts = text.splitn(3, '.');
    let (moment, attempt, id) = (parts.next()?, parts.next()?, parts.next()?);
    Some(AttemptCursor {
        attempted_at: Timestamp::from_microsecond(moment.parse().ok()?).ok()?,
        attempt: attempt.parse().ok()?,
        id: id.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_its_text_and_nothing_else_does() {
        let text = "1795329965000001.3.dlv_efa644ab8997bd28db3dd3a5d03bc386_918273";
        let cursor: AttemptCursor = text.parse().unwrap();
        assert_eq!(cursor.attempt, 3);
        assert_eq!(cursor.to_string(), text);
        for text in ["", "1", "1.2", "x.1.dlv_efa644ab8997bd28db3dd3a5d03bc386_1"] {
            assert_eq!(
                text.parse::<AttemptCursor>(),
                Err(NotACursor(text.to_owned()))
            );
        }
    }
}
