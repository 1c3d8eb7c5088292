//! What the stub server was sent.

use std::collections::HashMap;
use std::time::Instant;

use serde_json::Value;

use crate::raw_server::RawRequest;

/// A request of the relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    pub path: String,
    /// By lower-case name.
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
    pub received_at: Instant,
    /// Which request of this delivery it is, counted by the stub server from 1.
    pub attempt: u32,
}

impl Request {
    pub(super) fn read(raw: &RawRequest) -> Self {
        let mut lines = raw.head.lines();
        let mut words = lines.next().unwrap_or_default().split(' ');
        let mut word = || words.next().unwrap_or_default().to_owned();
        let header = |line: &str| {
            let (name, value) = line.split_once(": ")?;
            Some((name.to_lowercase(), value.to_owned()))
        };
        Self {
            method: word(),
            path: word(),
            headers: lines.filter_map(header).collect(),
            body: raw.body.clone(),
            received_at: Instant::now(),
            attempt: 0,
        }
    }

    /// A header's value; empty when there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The delivery id.
    pub fn id(&self) -> &str {
        self.header("webhook-id")
    }

    /// The key, percent-encoded as it travels.
    pub fn key(&self) -> &str {
        self.header("replicates-to-key")
    }

    /// Source, model and key: what has an order.
    pub fn stream_key(&self) -> String {
        let of = |name| self.header(name);
        format!(
            "{}/{}/{}",
            of("replicates-to-source"),
            of("replicates-to-model"),
            self.key()
        )
    }

    /// The version; 0 when the header is missing.
    pub fn version(&self) -> u64 {
        self.header("replicates-to-version").parse().unwrap_or(0)
    }

    /// The body, read as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}
