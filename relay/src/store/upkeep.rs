//! Migrations, and the partitions of the log.

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
