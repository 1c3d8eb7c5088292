//! What replicas say of themselves, for display: nothing in the relay decides by it.

use std::sync::Arc;

use relay_core::time::Timestamp;

/// What a replica last said of a destination.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplicaRow {
    pub replica: String,
    pub destination: Arc<str>,
    pub state: ReplicaState,
    /// Why it sends nothing, in words.
    pub held_reason: Option<String>,
    pub lag_seconds: f64,
    pub in_flight: u32,
}

/// How a destination is doing on a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReplicaState {
    Active,
    Held,
    Open,
    HalfOpen,
    Paused,
    Disabled,
    Unconfigured,
}

impl ReplicaState {
    pub const ALL: [Self; 7] = [
        Self::Active,
        Self::Held,
        Self::Open,
        Self::HalfOpen,
        Self::Paused,
        Self::Disabled,
        Self::Unconfigured,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Held => "held",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
            Self::Paused => "paused",
            Self::Disabled => "disabled",
            Self::Unconfigured => "unconfigured",
        }
    }

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

/// A mapping that records of a model were seen under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappingRow {
    pub destination: Arc<str>,
    pub source: Arc<str>,
    pub model: Arc<str>,
    pub fingerprint: u64,
    /// The highest version seen under it.
    pub version_max: u64,
    pub last_seen_at: Timestamp,
}
