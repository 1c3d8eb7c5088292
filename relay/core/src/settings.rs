//! What a destination was told to do: values validated once, where the configuration is read.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::egress::Egress;
use crate::names::Operation;
use crate::request::{Body, Url};
use crate::token::Grant;
use crate::verdict::Classify;

/// Everything configured for one destination.
#[derive(Debug, Clone)]
pub struct Destination {
    pub name: Arc<str>,
    /// Sources that may deliver here; empty means any.
    pub sources: Vec<String>,
    pub start: Start,
    pub connect_timeout: Duration,
    /// Bytes of a response that are read.
    pub response_bytes_max: usize,
    /// Which addresses may be dialled.
    pub egress: Egress,
    pub tls: Tls,
    /// Most requests in flight from this replica.
    pub concurrency: usize,
    /// Fewer where the endpoint does not bear so many.
    pub is_adaptive: bool,
    /// Most requests a second of the whole group; 0 for no limit.
    pub rate_limit: f64,
    /// Most undelivered records in the store before consumption holds.
    pub parked_max: u64,
    /// A lag above it makes the destination late, for people.
    pub lag_target: Duration,
    pub retention: Retention,
    /// Most that a `Retry-After` may ask for.
    pub retry_after_max: Duration,
    pub breaker_open: BreakerOpen,
    /// What holds for a model without a route of its own.
    pub route: Route,
    /// Routes by public model name.
    pub routes: BTreeMap<String, Route>,
}

impl Destination {
    /// What holds for a model.
    pub fn route_of(&self, model: &str) -> &Route {
        self.routes.get(model).unwrap_or(&self.route)
    }
}

/// How a destination's servers are known, and as whom the relay shows itself to them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tls {
    /// Certificates, in DER, of those who may vouch for a server. Empty: those of the operating system.
    pub authorities: Vec<Vec<u8>>,
    /// None: the relay has no certificate to show.
    pub identity: Option<Identity>,
    pub min_version: TlsVersion,
}

/// The oldest protocol that a destination may speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TlsVersion {
    #[default]
    Tls12,
    Tls13,
}

/// A certificate of the relay's own.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// In DER, the relay's own first.
    pub chain: Vec<Vec<u8>>,
    /// In DER: PKCS #8, PKCS #1 or SEC 1.
    pub key: Vec<u8>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(***)")
    }
}

/// What holds for the records of a model.
#[derive(Debug, Clone)]
pub struct Route {
    /// Absolute, `http` or `https`.
    pub url: Url,
    pub methods: Methods,
    pub body: Body,
    /// None: each record has a request of its own.
    pub batch: Option<Batching>,
    /// That of `auth` included.
    pub headers: Vec<Header>,
    /// Every request carries a token for it.
    pub grant: Option<Arc<Grant>>,
    /// What else of `auth` the log must not show: the parts that a consumer takes such a header apart into.
    pub credentials: Vec<String>,
    /// The whole exchange, response body included.
    pub timeout: Duration,
    /// Live records that the ledger says to be held already are not sent.
    pub skip_unchanged: bool,
    pub log_body: LogBody,
    pub log_body_bytes_max: usize,
    /// Attribute names masked in logged bodies, besides the sensitive ones.
    pub mask: Vec<String>,
    pub retry: Retry,
    /// What answers and failures are taken for.
    pub classify: Classify,
    pub breaker: Breaker,
    /// Newest first; all sign. Empty means unsigned.
    pub signing: Vec<SigningSecret>,
}

/// How many records share a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batching {
    /// At least 2.
    pub records_max: usize,
    /// How long the first record of a batch waits for others.
    pub wait_max: Duration,
    /// Of the body. A record that is larger goes alone.
    pub bytes_max: usize,
}

/// The methods of a route's requests. No others differ: the first record that a consumer sees of a row may be an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Methods {
    /// Of a record that deletes.
    pub delete: Method,
    /// Of every other record.
    pub default: Method,
}

impl Methods {
    /// One for all records.
    pub fn all(method: Method) -> Self {
        Self {
            delete: method,
            default: method,
        }
    }

    /// The method of a record's request.
    pub fn of(self, operation: Operation) -> Method {
        match operation {
            Operation::Delete => self.delete,
            Operation::Create | Operation::Update | Operation::Snapshot => self.default,
        }
    }
}

/// A method of HTTP that may carry a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// A configured request header.
#[derive(Clone)]
pub struct Header {
    pub name: String,
    pub value: String,
    /// From a reference: shown as `***`.
    pub is_secret: bool,
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = if self.is_secret { "***" } else { &self.value };
        write!(f, "Header({}: {value})", self.name)
    }
}

/// Where a group that never had offsets begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    Earliest,
    Latest,
}

/// How long the log keeps a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Of delivered, stale and superseded.
    pub success: Duration,
    /// Of everything else.
    pub failure: Duration,
}

/// Which bodies and headers the log keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogBody {
    None,
    Failures,
    All,
}

/// `MAX_RETRIES` and the waiting between tries.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Retry {
    /// Charged attempts after the first one.
    pub max_retries: u32,
    /// Retries in memory before the delivery is parked in the store; at most `max_retries`.
    pub in_place: u32,
    pub base: Duration,
    pub factor: f64,
    pub cap: Duration,
    /// Share by which a delay is spread, 0 to 1.
    pub jitter: f64,
}

/// When a route's breaker opens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Breaker {
    /// 0 switches it off.
    pub failure_ratio: f64,
    pub min_keys: usize,
    pub window: Duration,
}

/// How long an open breaker waits before it probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerOpen {
    pub base: Duration,
    pub cap: Duration,
}

/// The bytes of a `whsec_…` secret.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecret(pub Vec<u8>);

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret(***)")
    }
}
