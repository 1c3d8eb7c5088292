//! Migrations, and the partitions of the log.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use relay_core::time::Timestamp;

/// A numbered migration that this binary carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// Number and purpose, as its file is named: `0001_store`.
    pub name: String,
    /// None while it is pending.
    pub applied_at: Option<Timestamp>,
}

/// How far ahead the log has room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partitions {
    /// Partitions that begin after the furthest expiry in use, without a gap before them.
    pub ahead: u32,
    /// The one after the furthest expiry, or one before it, does not exist: readiness fails.
    pub next_is_missing: bool,
}

/// What one round of upkeep did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upkeep {
    /// Partitions made and attached.
    pub attached: u32,
    /// Partitions detached and dropped.
    pub dropped: u32,
    /// Expired rows deleted one by one, where the store has no partitions.
    pub rows_deleted: u64,
    pub partitions: Partitions,
}

/// The longest retention of any destination: how far away an expiry can be. It may change while the store is open; clones are
/// the same.
#[derive(Debug, Clone)]
pub struct LongestRetention(Arc<AtomicU64>);

impl LongestRetention {
    pub fn get(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }

    /// What is logged from now on may be kept for so long. The next upkeep makes room for it.
    pub fn set(&self, retention: Duration) {
        self.0.store(whole_millis(retention), Ordering::Relaxed);
    }
}

impl From<Duration> for LongestRetention {
    fn from(retention: Duration) -> Self {
        Self(Arc::new(AtomicU64::new(whole_millis(retention))))
    }
}

fn whole_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
