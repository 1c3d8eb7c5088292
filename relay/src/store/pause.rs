//! An operator's pause of a destination.

use std::fmt;

use relay_core::time::Timestamp;

/// A destination is paused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    pub reason: String,
    /// The name of the token.
    pub by: String,
    pub at: Timestamp,
}

impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "by {}: {}", self.by, self.reason)
    }
}

/// A person's wish to pause a destination, or to have it go on.
#[derive(Debug, Clone)]
pub struct PauseRequest {
    pub destination: String,
    pub wish: Wish,
    /// Who asked, by the name of the token.
    pub token_name: String,
    pub at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    Pause { reason: String },
    Resume { reason: Option<String> },
}

impl Wish {
    pub fn action(&self) -> &'static str {
        match self {
            Self::Pause { .. } => "pause",
            Self::Resume { .. } => "resume",
        }
    }

    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Pause { reason } => Some(reason),
            Self::Resume { reason } => reason.as_deref(),
        }
    }
}

impl PauseRequest {
    /// What the store keeps of it: why, who and since when; nothing of a destination that goes on.
    pub(super) fn pause(&self) -> Option<Pause> {
        match &self.wish {
            Wish::Pause { reason } => Some(Pause {
                reason: reason.clone(),
                by: self.token_name.clone(),
                at: self.at,
            }),
            Wish::Resume { .. } => None,
        }
    }
}
