//! What operators have said of a destination: that it pauses, or goes on.

use std::fmt;

use relay_core::time::Timestamp;

use super::audit::Audit;

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

/// What operators have said of a destination.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Orders {
    /// None where it is not paused.
    pub pause: Option<Pause>,
    /// When somebody last said that it shall go on, while it was not paused: whoever ends a pause need not know that versions
    /// of a source went back meanwhile.
    pub resumed_at: Option<Timestamp>,
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
    /// When it was that a destination shall go on; none where it shall pause.
    pub(super) fn resumed_at(&self) -> Option<Timestamp> {
        match self.wish {
            Wish::Pause { .. } => None,
            Wish::Resume { .. } => Some(self.at),
        }
    }

    /// Its line of the audit list.
    pub(super) fn audit(&self) -> Audit {
        Audit {
            at: self.at,
            token_name: self.token_name.clone(),
            action: self.wish.action(),
            target: self.destination.clone(),
            detail: self.wish.reason().map(str::to_owned),
        }
    }

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
