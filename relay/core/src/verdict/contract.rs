//! What a consumer may say in the body of its answer.

use serde_json::Value;

use crate::exchange::Answer;
use crate::names::{DeliveryId, VERSION_END};

/// The body of an answer, as far as the contract goes.
#[derive(Debug, PartialEq, Eq)]
pub enum Contract {
    /// `{"results":[…]}`: each delivery has its own answer.
    Results(Results),
    /// `results` that is no list.
    BrokenResults,
    /// `{"status":"stale"}`
    Stale { version: Option<u64> },
    /// `{"status":"rejected"}`
    Rejected { error: Option<String> },
    /// `{"status":"retry"}`
    Retry { error: Option<String> },
    /// The answer to a batch, of which not all was read.
    TooLarge,
    /// The answer to a batch, which began like JSON and is none.
    Broken,
    /// Anything else: the status code speaks.
    Silent { error: Option<String> },
}

/// What an answer answers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Single,
    /// Results may be somewhere in the answer: one that cannot be read says nothing of any record.
    Batch,
}

/// The list of `results`.
#[derive(Debug, PartialEq, Eq)]
pub struct Results(Vec<(DeliveryId, ResultOf)>);

/// What was said of one delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultOf {
    pub word: Word,
    pub error: Option<String>,
}

/// The status of a result, from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Word {
    Applied,
    Stale {
        version: Option<u64>,
    },
    /// Not named, or with a status that this relay does not know: silence is no acknowledgement.
    Missing,
    Retry,
    Rejected,
}

impl Contract {
    /// Reads the body.
    pub fn read(answer: &Answer, shape: Shape) -> Self {
        if answer.is_truncated {
            return match shape {
                Shape::Single => Self::Silent { error: None },
                Shape::Batch => Self::TooLarge,
            };
        }
        // Most consumers answer with nothing, or with a page.
        let starts_like_json = matches!(answer.body.trim_ascii_start().first(), Some(b'{' | b'['));
        if !starts_like_json {
            return Self::Silent { error: None };
        }
        let body = match (serde_json::from_slice(&answer.body), shape) {
            (Ok(Value::Object(body)), _) => body,
            (Err(_), Shape::Batch) => return Self::Broken,
            (Ok(_), _) | (Err(_), Shape::Single) => return Self::Silent { error: None },
        };
        match body.get("results") {
            Some(Value::Array(results)) => {
                return Self::Results(Results(results.iter().filter_map(result).collect()));
            }
            Some(_) => return Self::BrokenResults,
            None => {}
        }
        let error = error(body.get("error"));
        match body.get("status").and_then(Value::as_str) {
            Some("stale") => Self::Stale {
                version: version(body.get("version")),
            },
            Some("rejected") => Self::Rejected { error },
            Some("retry") => Self::Retry { error },
            _ => Self::Silent { error },
        }
    }

    /// What the body says went wrong.
    pub fn error(&self) -> Option<&str> {
        match self {
            Self::Rejected { error } | Self::Retry { error } | Self::Silent { error } => {
                error.as_deref()
            }
            Self::Results(_)
            | Self::BrokenResults
            | Self::Stale { .. }
            | Self::TooLarge
            | Self::Broken => None,
        }
    }
}

impl Results {
    /// The worst that was said of a delivery.
    pub fn of(&self, delivery: &DeliveryId) -> ResultOf {
        let said = self.0.iter().filter(|(id, _)| id == delivery);
        said.map(|(_, result)| result)
            .max_by_key(|result| result.word)
            .cloned()
            .unwrap_or(ResultOf {
                word: Word::Missing,
                error: None,
            })
    }
}

fn result(item: &Value) -> Option<(DeliveryId, ResultOf)> {
    let id = item.get("id")?.as_str()?.parse().ok()?;
    let word = match item.get("status").and_then(Value::as_str) {
        Some("applied") => Word::Applied,
        Some("stale") => Word::Stale {
            version: version(item.get("version")),
        },
        Some("rejected") => Word::Rejected,
        Some("retry") => Word::Retry,
        _ => Word::Missing,
    };
    let error = error(item.get("error"));
    Some((id, ResultOf { word, error }))
}

/// A version of ours; anything else is as good as none.
fn version(value: Option<&Value>) -> Option<u64> {
    let version = value?.as_u64()?;
    (1..VERSION_END).contains(&version).then_some(version)
}

/// `"error":"…"` or `"error":{"code":…,"message":"…"}`, as our own receiver answers.
fn error(value: Option<&Value>) -> Option<String> {
    let value = value?;
    let text = value.as_str().or_else(|| value.get("message")?.as_str())?;
    (!text.is_empty()).then(|| text.to_owned())
}
