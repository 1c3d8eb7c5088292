//! One request for several records: each as the route's body shows it, in a list.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::{Outgoing, Unmappable, push_identity};
use crate::exchange::HttpRequest;
use crate::names::DeliveryId;
use crate::record::View;
use crate::settings::{Batching, Method, Route};
use crate::time::Timestamp;

/// A batch that is being put together.
#[derive(Debug)]
pub struct Batch<'a> {
    route: &'a Route,
    limits: Batching,
    method: Method,
    url: Arc<str>,
    ids: Vec<DeliveryId>,
    /// Of the trace that all of its records are part of.
    traceparent: Option<Box<str>>,
    body: Vec<u8>,
}

/// Whether a record has joined a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joining {
    Joined,
    /// It goes to another URL, or by another method.
    Elsewhere,
    /// It would be too much.
    Full,
}

impl<'a> Batch<'a> {
    /// A batch of one record, whatever its size.
    ///
    /// # Errors
    /// When the record does not fit what the route wants to send.
    pub fn begin(
        route: &'a Route,
        limits: Batching,
        first: &Outgoing<'_>,
    ) -> Result<Self, Unmappable> {
        let mut body = Vec::with_capacity(first.record.raw().len() * 2);
        body.extend_from_slice(route.body.brackets().0);
        route.body.write(first, View::Consumer, &mut body)?;
        Ok(Self {
            method: route.methods.of(first.record.operation),
            url: route.url.render(first)?,
            ids: vec![first.id],
            traceparent: first.record.traceparent.clone(),
            route,
            limits,
            body,
        })
    }

    /// How many records it has.
    pub fn count(&self) -> usize {
        self.ids.len()
    }

    /// Takes a record in, if there is room for it.
    ///
    /// # Errors
    /// When the record does not fit what the route wants to send.
    pub fn add(&mut self, next: &Outgoing<'_>) -> Result<Joining, Unmappable> {
        let route = self.route;
        if self.count() >= self.limits.records_max {
            return Ok(Joining::Full);
        }
        if self.method != route.methods.of(next.record.operation)
            || self.url != route.url.render(next)?
        {
            return Ok(Joining::Elsewhere);
        }
        let end = self.body.len();
        self.body.push(b',');
        let written = route.body.write(next, View::Consumer, &mut self.body);
        let is_full = self.body.len() + route.body.brackets().1.len() > self.limits.bytes_max;
        if written.is_err() || is_full {
            self.body.truncate(end);
            return written.map(|()| Joining::Full);
        }
        if self.traceparent != next.record.traceparent {
            self.traceparent = None;
        }
        self.ids.push(next.id);
        Ok(Joining::Joined)
    }

    /// The request.
    pub fn finish(mut self, wall: Timestamp, user_agent: &str) -> HttpRequest {
        let Route { body, .. } = self.route;
        let id = batch_id(&self.ids);
        self.body.extend_from_slice(body.brackets().1);
        let mut headers = Vec::with_capacity(8);
        headers.push(("content-type", body.batch_content_type().to_owned()));
        headers.push(("user-agent", user_agent.to_owned()));
        push_identity(&mut headers, self.route, id.clone(), wall, &self.body);
        if let Some(traceparent) = self.traceparent {
            headers.push(("traceparent", traceparent.into()));
        }
        HttpRequest {
            method: self.method,
            url: self.url,
            headers,
            configured_headers: Arc::from(self.route.headers.as_slice()),
            body: self.body,
            timeout: self.route.timeout,
            grant: self.route.grant.clone(),
            token: None,
            batch_id: Some(id.into()),
        }
    }
}

/// `bat_` and 32 hex digits: the first half of SHA-256 over the delivery ids, a line feed between two.
fn batch_id(ids: &[DeliveryId]) -> String {
    let mut sha = Sha256::new();
    for (position, id) in ids.iter().enumerate() {
        if position > 0 {
            sha.update(b"\n");
        }
        sha.update(id.to_string());
    }
    let mut first = [0; 16];
    first.copy_from_slice(&sha.finalize()[..16]);
    format!("bat_{:032x}", u128::from_be_bytes(first))
}

#[cfg(test)]
mod tests;
