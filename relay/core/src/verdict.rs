//! What an answer means for each delivery of its request: whose fault a failure is, and what may follow from it.
//!
//! - `contract`: what a consumer may say in the body
//! - `classify`: what a route takes an answer for instead
//! - `retry_after`: for how long it asks to be left alone

mod classify;
mod contract;
mod retry_after;

use crate::exchange::{Answer, End, ErrorClass, Exchange};
use crate::names::{DeliveryId, Operation};
use crate::settings::Method;
pub use classify::{Classify, Mark};
pub use contract::Shape;
use contract::{Contract, Word};
pub use retry_after::retry_after;

/// What is to be done about a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Acknowledged.
    Delivered,
    /// The consumer holds a newer version, which it may have named.
    Stale { version: Option<u64> },
    /// The record's fault, and trying again will not help.
    Reject,
    /// The record's fault, and trying again may help.
    Retry,
    /// The endpoint's fault: no record pays for it.
    Endpoint,
    /// Unclear: the endpoint's fault if many keys fail, else the record's.
    Suspect,
    /// Some record of the batch is at fault, and nobody knows which: each finds out with fewer others.
    Divide(Portion),
}

/// How much of a batch shares the next request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Portion {
    One,
    /// All of it may be right, but for its size.
    Half,
}

impl Portion {
    /// Records of a next request, at most.
    pub fn of(self, records: usize) -> usize {
        match self {
            Self::One => 1,
            Self::Half => records.div_ceil(2),
        }
    }
}

/// What a request asked for one of its deliveries, as far as the meaning of an answer depends on it.
#[derive(Debug, Clone, Copy)]
pub struct Question {
    pub id: DeliveryId,
    pub operation: Operation,
    pub method: Method,
    /// Each row has a URL of its own.
    pub names_key: bool,
}

impl Question {
    /// Whether a row that is not there is what was asked for.
    fn wants_absence(&self) -> bool {
        self.operation == Operation::Delete && (self.names_key || self.method == Method::Delete)
    }
}

/// The judgement on one delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub class: Class,
    /// The answer's status, if there was an answer.
    pub status: Option<u16>,
    pub error_class: Option<ErrorClass>,
    /// May quote the answer: to be masked and cut before it is kept, by [`crate::mask::Mask::error`].
    pub error: Option<String>,
}

impl Verdict {
    /// The endpoint cannot be reached at all: one such failure says as much as many.
    pub fn opens_breaker_at_once(&self) -> bool {
        self.class == Class::Endpoint
            && matches!(
                self.error_class,
                Some(
                    ErrorClass::Connect
                        | ErrorClass::Dns
                        | ErrorClass::Tls
                        | ErrorClass::EgressDenied
                )
            )
    }
}

/// Judges an exchange for each of its deliveries, in their order. What `classify` says of a status or a failure counts
/// instead of what it means by itself; what the consumer says of a record in the body counts before both.
pub fn judge(
    exchange: &Exchange,
    questions: &[Question],
    shape: Shape,
    classify: &Classify,
) -> Vec<Verdict> {
    match &exchange.end {
        End::Failed { class, error } => {
            let taken_for = classify.class_of(None, Some(*class));
            let verdict = Verdict {
                class: taken_for.unwrap_or_else(|| class_of_failure(*class)),
                status: None,
                error_class: Some(*class),
                error: Some(error.clone()),
            };
            vec![verdict; questions.len()]
        }
        End::Answered(answer) => {
            let contract = Contract::read(answer, shape);
            let are_several = questions.len() > 1;
            let judge = |question| {
                let verdict = judge_answer(answer, &contract, question, classify);
                if are_several && !matches!(contract, Contract::Results(_)) {
                    judge_together(verdict, answer.status)
                } else {
                    verdict
                }
            };
            questions.iter().map(judge).collect()
        }
    }
}

/// What an answer that names no record means for each of several: a success is everybody's, and so is the endpoint's
/// trouble. What speaks of a record may be true of one alone.
fn judge_together(verdict: Verdict, status: u16) -> Verdict {
    let is_success = (200..=299).contains(&status);
    let class = match verdict.class {
        Class::Stale { .. } if is_success => Class::Stale { version: None },
        Class::Delivered if is_success => Class::Delivered,
        Class::Delivered | Class::Stale { .. } | Class::Retry | Class::Reject => {
            Class::Divide(if status == 413 {
                Portion::Half
            } else {
                Portion::One
            })
        }
        class @ (Class::Endpoint | Class::Suspect | Class::Divide(_)) => class,
    };
    Verdict { class, ..verdict }
}

fn judge_answer(
    answer: &Answer,
    contract: &Contract,
    question: &Question,
    classify: &Classify,
) -> Verdict {
    let verdict = |class, error_class, error| Verdict {
        class,
        status: Some(answer.status),
        error_class,
        error,
    };
    // What is acknowledged has not failed, whatever the status.
    let failure = |class, error_class, error| match class {
        Class::Delivered | Class::Stale { .. } => verdict(class, None, None),
        Class::Reject | Class::Retry | Class::Endpoint | Class::Suspect | Class::Divide(_) => {
            verdict(class, Some(error_class), Some(error))
        }
    };
    let unreadable = |error_class, error: &str| {
        let class = classify.class_of(None, Some(error_class));
        failure(
            class.unwrap_or(Class::Suspect),
            error_class,
            error.to_owned(),
        )
    };
    match (answer.status, contract) {
        (200..=299, Contract::Results(results)) => {
            let result = results.of(&question.id);
            match result.word {
                Word::Applied => verdict(Class::Delivered, None, None),
                Word::Stale { version } => verdict(Class::Stale { version }, None, None),
                Word::Retry => {
                    let error = said("retry", result.error.as_deref());
                    verdict(Class::Retry, Some(ErrorClass::Http4xx), Some(error))
                }
                Word::Rejected => {
                    let error = said("rejected", result.error.as_deref());
                    verdict(Class::Reject, Some(ErrorClass::Http4xx), Some(error))
                }
                // The status speaks of the request, not of the record that nothing was said of.
                Word::Missing => failure(
                    classify
                        .class_of(None, Some(ErrorClass::BatchResultMissing))
                        .unwrap_or(Class::Retry),
                    ErrorClass::BatchResultMissing,
                    format!("no result for {}", question.id),
                ),
            }
        }
        (200..=299, Contract::BrokenResults) => {
            unreadable(ErrorClass::BadResponse, "results is not a list")
        }
        (200..=299, Contract::Broken) => unreadable(
            ErrorClass::BadResponse,
            "the answer to a batch begins like JSON and is none",
        ),
        (200..=299, Contract::TooLarge) => unreadable(
            ErrorClass::ResponseTooLarge,
            "the answer to a batch is larger than response_max",
        ),
        (200..=299 | 409, Contract::Stale { version }) => {
            verdict(Class::Stale { version: *version }, None, None)
        }
        (200..=299, Contract::Rejected { error }) => {
            let error = said("rejected", error.as_deref());
            verdict(Class::Reject, Some(ErrorClass::Http4xx), Some(error))
        }
        (200..=299, Contract::Retry { error }) => {
            let error = said("retry", error.as_deref());
            verdict(Class::Retry, Some(ErrorClass::Http4xx), Some(error))
        }
        (200..=299, Contract::Silent { error }) => {
            match classify.class_of(Some(answer.status), None) {
                None => verdict(Class::Delivered, None, None),
                // There is no error class for an answer that only this route calls a failure.
                Some(class) => failure(
                    class,
                    ErrorClass::BadResponse,
                    said(answer.status, error.as_deref()),
                ),
            }
        }
        (status, contract) => {
            let (own, error_class) = class_of_status(status, question.names_key);
            let class = match classify.class_of(Some(status), Some(error_class)) {
                Some(class @ (Class::Endpoint | Class::Suspect)) => class,
                // The row is not there, which is what a delete wants, as long as it is the row that the answer speaks of.
                _ if matches!(status, 404 | 410) && question.wants_absence() => Class::Delivered,
                Some(class) => class,
                None => own,
            };
            failure(class, error_class, said(status, contract.error()))
        }
    }
}

fn said(answer: impl std::fmt::Display, error: Option<&str>) -> String {
    match error {
        Some(error) => format!("answered {answer}: {error}"),
        None => format!("answered {answer}"),
    }
}

/// Where rows have URLs of their own, 404, 405 and 410 speak of the row, which may be there later; else of the endpoint.
fn class_of_status(status: u16, names_key: bool) -> (Class, ErrorClass) {
    match status {
        300..=399 => (Class::Endpoint, ErrorClass::Http3xx),
        404 | 405 | 410 if names_key => (Class::Retry, ErrorClass::Http4xx),
        401 | 402 | 403 | 404 | 405 | 407 | 410 | 429 => (Class::Endpoint, ErrorClass::Http4xx),
        408 | 409 | 423 | 424 | 425 => (Class::Retry, ErrorClass::Http4xx),
        400..=499 => (Class::Reject, ErrorClass::Http4xx),
        502..=504 => (Class::Endpoint, ErrorClass::Http5xx),
        500..=599 => (Class::Suspect, ErrorClass::Http5xx),
        // Not a final status of HTTP.
        _ => (Class::Suspect, ErrorClass::BadResponse),
    }
}

fn class_of_failure(class: ErrorClass) -> Class {
    match class {
        ErrorClass::Connect
        | ErrorClass::Dns
        | ErrorClass::Tls
        | ErrorClass::EgressDenied
        | ErrorClass::Auth => Class::Endpoint,
        // The second line is never how an exchange fails: those are read from an answer or from a record.
        ErrorClass::Timeout
        | ErrorClass::Reset
        | ErrorClass::BadResponse
        | ErrorClass::ResponseTooLarge
        | ErrorClass::Http3xx
        | ErrorClass::Http4xx
        | ErrorClass::Http5xx
        | ErrorClass::BatchResultMissing
        | ErrorClass::Undecodable
        | ErrorClass::NullValue
        | ErrorClass::Unmappable
        | ErrorClass::VersionsBack
        | ErrorClass::OffsetGap => Class::Suspect,
    }
}

#[cfg(test)]
mod tests;
