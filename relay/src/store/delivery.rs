//! A delivery as people see it: found by filters, shown, retried.

use std::fmt;
use std::str::FromStr;

use relay_core::exchange::ErrorClass;
use relay_core::names::{Coordinates, DeliveryId};
use relay_core::rows::{Outcome, ParkedRow, ParkedState, Subject};
use relay_core::time::Timestamp;

use super::attempt::Attempt;

/// A record on its way to a destination, or at its end.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub subject: Subject,
    pub state: DeliveryState,
    /// All attempts so far.
    pub attempts: u32,
    /// None where the log knows of no failure.
    pub first_failed_at: Option<Timestamp>,
    pub last_failed_at: Option<Timestamp>,
    pub last_status: Option<u16>,
    pub error_class: Option<ErrorClass>,
    pub error: Option<String>,
    pub coordinates: Coordinates,
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// In a lane of a replica's memory, with failed attempts in the log; Kafka still owns it.
    InFlight,
    Undelivered(ParkedState),
    /// Delivered, stale, superseded or discarded: final.
    Ended(Outcome),
}

impl DeliveryState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InFlight => "in_flight",
            Self::Undelivered(state) => state.as_str(),
            Self::Ended(outcome) => outcome.as_str(),
        }
    }
}

/// A delivery's story is told from its newest so many attempts: more than most budgets, few enough to read at once.
pub(super) const STORY: u32 = 500;

impl Delivery {
    /// An undelivered record.
    pub(super) fn of_parked(row: ParkedRow) -> Self {
        Self {
            subject: row.subject,
            state: DeliveryState::Undelivered(row.state),
            attempts: row.attempts,
            first_failed_at: Some(row.first_failed_at),
            last_failed_at: Some(row.last_failed_at),
            last_status: row.last_status,
            error_class: row.error_class,
            error: Some(row.error),
            coordinates: row.coordinates,
        }
    }

    /// A delivery that is not among the undelivered, from its attempts, newest first; none without any.
    pub(super) fn of_log(attempts: &[Attempt]) -> Option<Self> {
        let newest = attempts.first()?;
        let is_failure = |attempt: &&Attempt| !attempt.outcome.is_success();
        let last_failure = attempts.iter().find(is_failure);
        let first_failure = attempts.iter().rfind(is_failure);
        Some(Self {
            subject: newest.subject.clone(),
            state: attempts
                .iter()
                .map(|attempt| attempt.outcome)
                .find(|outcome| outcome.is_success() || *outcome == Outcome::Discarded)
                .map_or(DeliveryState::InFlight, DeliveryState::Ended),
            attempts: attempts.iter().map(|attempt| attempt.attempt).max()?,
            first_failed_at: first_failure.map(|attempt| attempt.attempted_at),
            last_failed_at: last_failure.map(|attempt| attempt.attempted_at),
            last_status: newest.status,
            error_class: last_failure.and_then(|attempt| attempt.error_class),
            error: last_failure.and_then(|attempt| attempt.error.clone()),
            coordinates: newest.coordinates.clone(),
        })
    }
}

/// Which undelivered records are asked for; what is none does not narrow.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    pub destination: Option<String>,
    pub model: Option<String>,
    pub key: Option<String>,
    /// One of parked, exhausted, rejected, quarantined.
    pub state: Option<String>,
    pub error_class: Option<ErrorClass>,
    pub status: Option<u16>,
    /// Last failed at or after.
    pub since: Option<Timestamp>,
    /// Last failed before.
    pub until: Option<Timestamp>,
}

/// One page of a list, newest first.
#[derive(Debug, Clone)]
pub struct Page<T, C> {
    pub rows: Vec<T>,
    /// Where the next page begins; none at the end.
    pub next: Option<C>,
}

/// The last delivery of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliveryCursor(pub(super) i64);

impl fmt::Display for DeliveryCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A text that no page ended with.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not a cursor of this list")]
pub struct NotACursor(pub String);

impl FromStr for DeliveryCursor {
    type Err = NotACursor;

    fn from_str(text: &str) -> Result<Self, NotACursor> {
        text.parse()
            .map(Self)
            .map_err(|_| NotACursor(text.to_owned()))
    }
}

/// A person's wish to have a delivery sent again.
#[derive(Debug, Clone)]
pub struct RetryRequest {
    pub id: DeliveryId,
    /// Who asked, by the name of the token.
    pub token_name: String,
    /// The moment of asking: when the retry is due.
    pub at: Timestamp,
}

/// What became of that wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAnswer {
    /// Due now, with a fresh budget.
    Due,
    /// Neither undelivered nor in the log or the ledger.
    NotFound,
    /// Still in a lane of its first tries; it ends or is parked by itself.
    InFlight,
    /// Nothing is left to send.
    AlreadyFinal(Outcome),
}

impl RetryAnswer {
    /// Why a delivery that is not undelivered cannot be retried: what the log, or else the ledger's version of its key,
    /// knows of it.
    pub(super) fn why_not(id: DeliveryId, attempts: &[Attempt], acknowledged: Option<u64>) -> Self {
        match Delivery::of_log(attempts).map(|delivery| delivery.state) {
            Some(DeliveryState::Ended(outcome)) => Self::AlreadyFinal(outcome),
            Some(DeliveryState::InFlight | DeliveryState::Undelivered(_)) => Self::InFlight,
            None => match acknowledged {
                Some(held) if held == id.version => Self::AlreadyFinal(Outcome::Delivered),
                Some(held) if held > id.version => Self::AlreadyFinal(Outcome::Superseded),
                _ => Self::NotFound,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_its_text_and_nothing_else_does() {
        let cursor = DeliveryCursor(42);
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for text in ["", "x", "4 2", "9223372036854775808"] {
            assert_eq!(
                text.parse::<DeliveryCursor>(),
                Err(NotACursor(text.to_owned()))
            );
        }
    }
}
