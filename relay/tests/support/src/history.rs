//! What a stub server's memory says about order.

use std::collections::HashMap;
use std::time::Instant;

use crate::stub_server::Request;

/// More of an answer is not remembered: nobody looks at it, and some answers are huge.
const SAID_MAX: usize = 64 << 10;

/// A request and how it was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    pub request: Request,
    /// None while it is under way, and when the server gave no whole answer.
    pub status: Option<u16>,
    /// The body that it was answered, as far as [`SAID_MAX`].
    pub said: Vec<u8>,
    /// Position of the arrival among all arrivals and answers.
    pub arrived: u64,
    /// Position of the answer, or of the end of the connection without one, among all arrivals and answers.
    pub answered: Option<u64>,
    /// When that was.
    pub answered_at: Option<Instant>,
}

impl Exchange {
    pub(crate) fn arrived(request: Request, arrived: u64) -> Self {
        Self {
            request,
            status: None,
            said: vec![],
            arrived,
            answered: None,
            answered_at: None,
        }
    }

    pub(crate) fn answer(&mut self, status: Option<u16>, said: &[u8], answered: u64) {
        self.status = status;
        self.said = said[..said.len().min(SAID_MAX)].to_vec();
        self.answered = Some(answered);
        self.answered_at = Some(Instant::now());
    }

    pub fn is_acknowledged(&self) -> bool {
        self.status
            .is_some_and(|status| (200..300).contains(&status))
    }
}

/// The highest acknowledged version of each source, model and key.
pub fn acknowledged_versions(exchanges: &[Exchange]) -> HashMap<String, u64> {
    let mut versions = HashMap::new();
    for exchange in exchanges
        .iter()
        .filter(|exchange| exchange.is_acknowledged())
    {
        let version = versions.entry(exchange.request.stream_key()).or_default();
        *version = exchange.request.version().max(*version);
    }
    versions
}

/// Requests that carried an older version than one of their key which had been acknowledged before they arrived.
pub fn order_violations(exchanges: &[Exchange]) -> Vec<String> {
    let mut acknowledged: HashMap<String, Vec<(u64, u64)>> = HashMap::new();
    for exchange in exchanges
        .iter()
        .filter(|exchange| exchange.is_acknowledged())
    {
        let answers = acknowledged
            .entry(exchange.request.stream_key())
            .or_default();
        answers.extend(exchange.answered.map(|at| (at, exchange.request.version())));
    }
    let is_violated = |exchange: &Exchange| {
        let answers = acknowledged.get(&exchange.request.stream_key());
        let newer = |(at, version): &(u64, u64)| {
            *at < exchange.arrived && *version > exchange.request.version()
        };
        answers.is_some_and(|answers| answers.iter().any(newer))
    };
    exchanges
        .iter()
        .filter(|exchange| is_violated(exchange))
        .map(describe)
        .collect()
}

/// Requests that arrived while another one of their key had not been answered. Meaningful while one relay lives: what a
/// killed one has sent is still under way when its successor sends.
pub fn overlaps(exchanges: &[Exchange]) -> Vec<String> {
    let mut by_key: HashMap<String, Vec<&Exchange>> = HashMap::new();
    for exchange in exchanges {
        by_key
            .entry(exchange.request.stream_key())
            .or_default()
            .push(exchange);
    }
    let is_overlapped = |pair: &[&Exchange]| pair[0].answered.is_none_or(|at| at > pair[1].arrived);
    let pairs = by_key.values().flat_map(|exchanges| exchanges.windows(2));
    pairs
        .filter(|pair| is_overlapped(pair))
        .map(|pair| describe(pair[1]))
        .collect()
}

fn describe(exchange: &Exchange) -> String {
    let (key, version) = (exchange.request.stream_key(), exchange.request.version());
    format!("{key} version {version}, request {}", exchange.arrived)
}
