//! Who asked for what.

use relay_core::time::Timestamp;

/// A line of the audit list.
#[derive(Debug, Clone)]
pub struct Audit {
    pub at: Timestamp,
    /// Who asked, by the name of the token.
    pub token_name: String,
    pub action: &'static str,
    /// What it was done to: a destination, a delivery. Empty for the relay itself.
    pub target: String,
    pub detail: Option<String>,
}
