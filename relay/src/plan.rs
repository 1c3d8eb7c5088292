//! What another configuration would change: of settings, and of the requests that records would become. Nothing is sent.

use std::collections::BTreeMap;

use relay_core::engine::KafkaRecord;
use relay_core::exchange::{End, ErrorClass, Exchange, HttpRequest, Timings};
use relay_core::names::{DeliveryId, KeyHash, Stream};
use relay_core::record::{Raw, Record};
use relay_core::request::{Outgoing, Sheet, render_alone};
use relay_core::rows::Outcome;
use relay_core::settings::{LogBody, Route};
use relay_core::time::Timestamp;
use serde_json::{Value, json};

use crate::config::Config;

/// What becomes of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// Its destination does not take it, or is none.
    Left {
        why: &'static str,
    },
    /// No request can be made of it.
    Quarantined {
        error: String,
    },
    Sent(Box<Request>),
}

/// A request as it would leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub method: &'static str,
    pub url: String,
    /// Whether it has the shape of a batch.
    pub is_batch: bool,
    pub headers: BTreeMap<String, String>,
    body: Vec<u8>,
    /// The body as the log would show it; none where the log shows none.
    body_shown: Option<String>,
}

impl Request {
    /// The body, sensitive values masked.
    pub fn body(&self) -> &str {
        self.body_shown
            .as_deref()
            .unwrap_or("(not shown: log_body is none)")
    }

    pub fn has_body_of(&self, other: &Self) -> bool {
        self.body == other.body
    }
}

impl Fate {
    /// As JSON, sensitive values masked.
    pub fn shown(&self) -> Value {
        match self {
            Self::Left { why } => json!({ "fate": "left", "why": why }),
            Self::Quarantined { error } => json!({ "fate": "quarantined", "error": error }),
            Self::Sent(request) => json!({
                "fate": "sent",
                "method": request.method,
                "url": request.url,
                "batch": request.is_batch,
                "headers": request.headers,
                "body": request.body(),
            }),
        }
    }
}

/// A record that both configurations are asked about.
#[derive(Debug)]
pub struct Subject<'a> {
    pub stream: Stream,
    pub id: DeliveryId,
    pub record: Record,
    pub kafka: &'a KafkaRecord,
}

impl<'a> Subject<'a> {
    /// A record of a topic. None where it cannot be decoded, which no configuration changes.
    pub fn read(kafka: &'a KafkaRecord, stream: Stream) -> Option<Self> {
        let raw = Raw {
            key: kafka.key.as_deref(),
            value: kafka.value.as_deref(),
            schema_version: kafka.schema_version.as_deref(),
            traceparent: kafka.traceparent.as_deref(),
        };
        let record = Record::decode(&raw, &stream).ok()?;
        let id = DeliveryId {
            key_hash: KeyHash::of_key(&stream, &record.key),
            version: record.version,
        };
        Some(Self {
            stream,
            id,
            record,
            kafka,
        })
    }

    /// What becomes of it under a configuration that was read back from what a relay shows.
    pub fn fate(&self, config: &Config, now: Timestamp) -> Fate {
        let name = &self.stream.destination;
        if config.disabled_destinations.contains(name) {
            return Fate::Left {
                why: "the destination is disabled",
            };
        }
        let mut all = config.destinations.iter();
        let Some(destination) = all.find(|destination| destination.name == *name) else {
            return Fate::Left {
                why: "there is no such destination",
            };
        };
        let sources = &destination.sources;
        if !sources.is_empty() && !sources.iter().any(|source| **source == *self.stream.source) {
            return Fate::Left {
                why: "its source may not deliver there",
            };
        }
        self.request(destination.route_of(&self.stream.model), now)
    }

    fn request(&self, route: &Route, now: Timestamp) -> Fate {
        let outgoing = Outgoing {
            id: self.id,
            record: &self.record,
            stream: &self.stream,
            attempt: 1,
        };
        let agent = concat!("replicates-relay/", env!("CARGO_PKG_VERSION"));
        match render_alone(route, &outgoing, now, agent) {
            Ok(http) => Fate::Sent(Box::new(shown(route, outgoing, http))),
            Err(unmappable) => Fate::Quarantined {
                error: unmappable.to_string(),
            },
        }
    }
}

/// Masked as the log masks it: as if the request had failed, and the log kept its body.
fn shown(route: &Route, outgoing: Outgoing<'_>, http: HttpRequest) -> Request {
    let is_shown = route.log_body != LogBody::None;
    let logging = Route {
        log_body: LogBody::All,
        ..route.clone()
    };
    let exchange = Exchange {
        end: End::Failed {
            class: ErrorClass::Connect,
            error: String::new(),
        },
        timings: Timings::default(),
    };
    let deliveries = [outgoing];
    let row = Sheet::new(&logging, &deliveries, &http, &exchange).row(0, Outcome::Retryable);
    let headers = row.request_headers.as_deref().unwrap_or("{}");
    let body = row.request_body.filter(|_| is_shown);
    Request {
        method: row.method,
        url: row.url.to_string(),
        is_batch: http.batch_id.is_some(),
        headers: serde_json::from_str(headers).unwrap_or_default(),
        body_shown: body.map(|body| String::from_utf8_lossy(&body).into_owned()),
        body: http.body,
    }
}
