//! What became durable, counted for the metrics and for the table of mappings.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use relay_core::names::Stream;
use relay_core::rows::{AttemptRow, Batch, Cause, LedgerEntry, Outcome, ParkedChange};
use relay_core::time::Timestamp;

use crate::metrics::{Metrics, StreamMetrics};
use crate::store::{DeliveryState, MappingRow};

/// The label of a record whose model could not be read.
const UNREADABLE: &str = "";

/// One destination's counts.
pub struct Tally {
    destination: Arc<str>,
    metrics: Arc<Metrics>,
    streams: HashMap<Arc<str>, StreamMetrics>,
    mappings: HashMap<(Arc<Stream>, u64), u64>,
}

impl Tally {
    pub fn new(destination: Arc<str>, metrics: Arc<Metrics>) -> Self {
        Self {
            destination,
            metrics,
            streams: HashMap::new(),
            mappings: HashMap::new(),
        }
    }

    /// Counts a batch that became durable.
    pub fn count(&mut self, batch: &Batch, took: Duration) {
        self.metrics.log_flushed(took.as_secs_f64());
        for outcome in Outcome::ALL {
            let rows = batch
                .attempts
                .iter()
                .filter(|row| row.outcome == outcome)
                .count() as u64;
            if rows > 0 {
                self.metrics.log_rows(outcome, rows);
            }
        }
        for row in &batch.attempts {
            self.count_row(row);
        }
        for entry in &batch.ledger {
            self.count_acknowledgement(entry);
        }
        for change in &batch.parked {
            if let ParkedChange::Keep(row) = change {
                let model = row
                    .subject
                    .record
                    .as_ref()
                    .map(|name| name.stream.model.clone());
                self.stream(model)
                    .delivery(DeliveryState::Undelivered(row.state));
            }
        }
    }

    fn count_row(&mut self, row: &AttemptRow) {
        let name = row.subject.record.as_ref();
        let stream = self.stream(name.map(|name| name.stream.model.clone()));
        let is_first = row.attempt <= 1 && matches!(row.cause, Cause::Live | Cause::Snapshot);
        if let (true, Some(name)) = (is_first, name) {
            stream.record(name.operation);
        }
        if let Some(exchange) = &row.exchange {
            stream.attempt(
                row.outcome,
                row.error_class,
                f64::from(exchange.timings.total_ms) / 1_000.0,
            );
        }
        match row.outcome {
            Outcome::Delivered | Outcome::Stale | Outcome::Superseded | Outcome::Discarded => {
                stream.delivery(DeliveryState::Ended(row.outcome));
            }
            // These are in the store, and counted there.
            Outcome::Retryable | Outcome::Rejected | Outcome::Quarantined => {}
        }
    }

    fn count_acknowledgement(&mut self, entry: &LedgerEntry) {
        let latency = entry.acknowledged_at.duration_since(entry.committed_at);
        // What the consumer had already did not take that long.
        if !entry.is_suspect {
            self.stream(Some(entry.stream.model.clone()))
                .latency(latency.as_secs_f64());
        }
        let newest = self
            .mappings
            .entry((entry.stream.clone(), entry.mapping_fingerprint))
            .or_default();
        *newest = entry.version.max(*newest);
    }

    /// The mappings seen since the last call.
    pub fn take_mappings(&mut self, seen_at: Timestamp) -> Vec<MappingRow> {
        let row = |((stream, fingerprint), version_max): ((Arc<Stream>, u64), u64)| MappingRow {
            destination: stream.destination.clone(),
            source: stream.source.clone(),
            model: stream.model.clone(),
            fingerprint,
            version_max,
            last_seen_at: seen_at,
        };
        self.mappings.drain().map(row).collect()
    }

    fn stream(&mut self, model: Option<Arc<str>>) -> &StreamMetrics {
        let model = model.unwrap_or_else(|| UNREADABLE.into());
        let (metrics, destination) = (&self.metrics, &self.destination);
        self.streams
            .entry(model.clone())
            .or_insert_with(|| metrics.stream(destination, &model))
    }
}
