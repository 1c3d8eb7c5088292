//! One HTTP request for the deliveries that it carries.
//!
//! - `url`: where it goes
//! - `body`: what it says
//! - `batch`: the same for several records
//! - `percent`: values in URLs and headers
//! - `signature`: Standard Webhooks
//! - `row`: the request and its answer as the log shows them

mod batch;
mod body;
pub(crate) mod percent;
mod row;
#[cfg(test)]
pub(crate) mod samples;
mod signature;
mod url;

use std::sync::Arc;

use crate::exchange::HttpRequest;
use crate::names::{DeliveryId, Stream};
use crate::record::{Record, View};
use crate::settings::Route;
use crate::time::Timestamp;
pub use batch::{Batch, Joining};
pub use body::{Body, Shape, Template, VARIABLES, Variable};
pub use row::Sheet;
pub use url::{PLACEHOLDERS, Placeholder, URL_BYTES_MAX, Url, UrlFlaw};

/// A delivery about to be sent.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    pub id: DeliveryId,
    pub record: &'a Record,
    pub stream: &'a Stream,
    /// Counted from 1, over all tries of the delivery.
    pub attempt: u32,
}

/// Why no request can be made of a record. Only another record, or another configuration, will help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unmappable {
    #[error("the url would have a segment . or .., which leads elsewhere")]
    DotSegment,
    #[error("the url would have more than {URL_BYTES_MAX} bytes")]
    UrlTooLong,
    #[error("the body wants the attribute {0:?}, which the record does not have")]
    NoAttribute(Box<str>),
}

/// Renders the request of a single delivery.
///
/// # Errors
/// When the record does not fit what the route wants to send.
pub fn render(
    route: &Route,
    delivery: &Outgoing<'_>,
    wall: Timestamp,
    user_agent: &str,
) -> Result<HttpRequest, Unmappable> {
    let url = route.url.render(delivery)?;
    let mut body = Vec::with_capacity(delivery.record.raw().len() * 2);
    route.body.write(delivery, View::Consumer, &mut body)?;
    Ok(HttpRequest {
        method: route.methods.of(delivery.record.operation),
        url,
        headers: headers(route, delivery, wall, user_agent, &body),
        configured_headers: Arc::from(route.headers.as_slice()),
        grant: route.grant.clone(),
        token: None,
        body,
        timeout: route.timeout,
        batch_id: None,
    })
}

/// Renders the request of a delivery that goes without company, in the shape that the route's requests have.
///
/// # Errors
/// When the record does not fit what the route wants to send.
pub fn render_alone(
    route: &Route,
    delivery: &Outgoing<'_>,
    wall: Timestamp,
    user_agent: &str,
) -> Result<HttpRequest, Unmappable> {
    match route.batch {
        None => render(route, delivery, wall, user_agent),
        Some(batching) => {
            let batch = Batch::begin(route, batching, delivery)?;
            Ok(batch.finish(wall, user_agent))
        }
    }
}

fn headers(
    route: &Route,
    delivery: &Outgoing<'_>,
    wall: Timestamp,
    user_agent: &str,
    body: &[u8],
) -> Vec<(&'static str, String)> {
    let Outgoing {
        id,
        record,
        stream,
        attempt,
    } = delivery;
    let webhook_id = id.to_string();
    let idempotency_key = format!("{webhook_id}_{}", first_16_hex(&record.content_hash.0));
    let mut headers = Vec::with_capacity(16);
    if !body.is_empty() {
        headers.push(("content-type", route.body.content_type().to_owned()));
    }
    headers.push(("user-agent", user_agent.to_owned()));
    push_identity(&mut headers, route, webhook_id, wall, body);
    headers.push(("idempotency-key", idempotency_key));
    if let Some(traceparent) = &record.traceparent {
        headers.push(("traceparent", traceparent.to_string()));
    }
    headers.extend([
        (
            "replicates-to-destination",
            percent::encode(&stream.destination),
        ),
        ("replicates-to-source", percent::encode(&stream.source)),
        ("replicates-to-model", percent::encode(&stream.model)),
        ("replicates-to-key", percent::encode(&record.key)),
        (
            "replicates-to-operation",
            record.operation.as_str().to_owned(),
        ),
        ("replicates-to-version", record.version.to_string()),
        ("replicates-to-attempt", attempt.to_string()),
    ]);
    if let Some(origin) = &record.origin {
        headers.push(("replicates-to-origin", percent::encode(origin)));
    }
    headers
}

/// Which message it is, and from whom:
/// <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>.
fn push_identity(
    headers: &mut Vec<(&'static str, String)>,
    route: &Route,
    webhook_id: String,
    wall: Timestamp,
    body: &[u8],
) {
    let timestamp = wall.as_second().to_string();
    if !route.signing.is_empty() {
        let signature = signature::sign(&route.signing, &webhook_id, &timestamp, body);
        headers.push((signature::HEADER, signature));
    }
    headers.push(("webhook-id", webhook_id));
    headers.push(("webhook-timestamp", timestamp));
}

fn first_16_hex(hash: &[u8; 16]) -> String {
    let mut first = [0; 8];
    first.copy_from_slice(&hash[..8]);
    format!("{:016x}", u64::from_be_bytes(first))
}

#[cfg(test)]
mod tests;
