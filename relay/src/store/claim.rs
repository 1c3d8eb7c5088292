//! A write that is done once, by whoever claims its idempotency key first.

/// What became of claiming a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// The write is to be done now.
    Ours,
    /// Somebody does it, or has done it.
    Theirs {
        /// Of that request's body: the same key with another body is a mistake.
        body_hash: Vec<u8>,
        /// None as long as it is being done.
        response: Option<String>,
    },
}

impl Claim {
    /// As a row says it; it may be gone by the time it is looked for, given up by whoever had it.
    pub(super) fn theirs(row: Option<(Vec<u8>, String)>, asked: &[u8]) -> Self {
        let (body_hash, response) = row.unwrap_or_else(|| (asked.to_vec(), String::new()));
        Self::Theirs {
            body_hash,
            response: (!response.is_empty()).then_some(response),
        }
    }
}
