//! What a route takes an answer for, where it knows its endpoint better than the relay does.

use std::collections::BTreeMap;

use super::Class;
use crate::exchange::ErrorClass;

/// `retry.classify`: what is to be done about answers and failures, by what they are known by.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Classify(BTreeMap<Mark, Class>);

/// What an answer or a failure is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// A status: `409`.
    Status(u16),
    /// An error class: `timeout`.
    Error(ErrorClass),
    /// All statuses of a hundred: `4xx` is 4.
    Hundred(u16),
}

/// The hundreds of statuses that have a name.
const HUNDREDS: [(&str, u16); 2] = [("4xx", 4), ("5xx", 5)];

impl Mark {
    /// The mark of that name: `409`, `4xx`, `timeout`. An error class only when a request can end with it: a record that
    /// cannot be read is never sent.
    pub fn from_name(name: &str) -> Option<Self> {
        let is_status = name.len() == 3 && name.bytes().all(|byte| byte.is_ascii_digit());
        if is_status {
            let status = name.parse().ok()?;
            return (200..=599)
                .contains(&status)
                .then_some(Self::Status(status));
        }
        let hundred = HUNDREDS.iter().find(|(known, _)| *known == name);
        let hundred = hundred.map(|(_, hundred)| Self::Hundred(*hundred));
        let class = || ErrorClass::from_name(name).filter(|class| class.is_of_a_request());
        hundred.or_else(|| class().map(Self::Error))
    }

    /// The names that are not numbers.
    pub fn words() -> impl Iterator<Item = &'static str> {
        let classes = ErrorClass::ALL.into_iter();
        let classes = classes.filter(|class| class.is_of_a_request());
        let hundreds = HUNDREDS.iter().map(|(name, _)| *name);
        hundreds.chain(classes.map(ErrorClass::as_str))
    }

    /// Whether it can be taken for an acknowledgement: somebody answered.
    pub fn is_of_an_answer(self) -> bool {
        match self {
            Self::Status(_) | Self::Hundred(_) => true,
            Self::Error(class) => class.is_of_an_answer(),
        }
    }
}

impl Classify {
    pub fn new(classes: BTreeMap<Mark, Class>) -> Self {
        Self(classes)
    }

    /// What an exchange is taken for; none where the table says nothing of it. A status beats an error class, which
    /// beats a hundred.
    pub fn class_of(&self, status: Option<u16>, error: Option<ErrorClass>) -> Option<Class> {
        if self.0.is_empty() {
            return None;
        }
        let of_status = status.map(Mark::Status);
        let of_error = error.map(Mark::Error);
        let of_hundred = status.map(|status| Mark::Hundred(status / 100));
        let mut marks = [of_status, of_error, of_hundred].into_iter().flatten();
        marks.find_map(|mark| self.0.get(&mark).copied())
    }
}
