//! What people see of an engine.

use std::sync::Arc;
use std::time::Duration;

use super::Engine;
use super::breaker::State;
use super::fetching::Hold;
use super::moving::Misplaced;
use crate::names::Partition;
use crate::rows::ParkedState;
use crate::time::Timestamp;

/// A destination in this replica, at a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    pub in_flight: usize,
    /// Most that may be in flight now.
    pub concurrency_limit: usize,
    pub buffered_bytes: usize,
    pub hold: Option<Hold>,
    /// Who paused it, and why.
    pub paused: Option<Arc<str>>,
    /// How versions of a source went back, and what to do about it.
    pub went_back: Option<Arc<str>>,
    /// Why a topic is not read.
    pub refused: Option<Arc<str>>,
    /// The breaker that is not closed, worst first.
    pub breaker: Option<BreakerView>,
    /// Kafka timestamp of the oldest record read and not ended.
    pub oldest_open: Option<Timestamp>,
    /// When the oldest parked record first failed.
    pub oldest_parked: Option<Timestamp>,
    /// Per partition, the records read and not ended.
    pub open_records: usize,
    /// Records that had expired before they were read, at most, since the engine began.
    pub gap_records: u64,
    pub misplaced: Misplaced,
}

/// A breaker that is not closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakerView {
    pub model: String,
    pub is_half_open: bool,
    /// How long until the next probe.
    pub next_probe_in: Duration,
    pub last_failure: Option<String>,
}

impl Engine {
    /// A look at the engine.
    pub fn view(&self, now: Duration) -> View {
        let owned = || self.homes.iter().filter(|home| home.is_owned());
        View {
            in_flight: self.flights.len(),
            concurrency_limit: self.concurrency_limit(),
            buffered_bytes: self.buffered_bytes,
            hold: self
                .hold()
                .or_else(|| self.waits_for_rate().then_some(Hold::RateLimit)),
            paused: self.paused.clone(),
            went_back: self.went_back.words().cloned(),
            refused: self.refused.clone(),
            breaker: self.breaker_view(now),
            oldest_open: owned().filter_map(|home| home.offsets.oldest()).min(),
            oldest_parked: self
                .parked
                .rows()
                .filter(|row| matches!(row.entry.state, ParkedState::Parked { .. }))
                .map(|row| {
                    // It was committed long before it could fail, if nothing was sent meanwhile.
                    let failed_at = row.entry.first_failed_at;
                    row.entry.committed_at.unwrap_or(failed_at).min(failed_at)
                })
                .min(),
            gap_records: self.gap_records,
            misplaced: self.misplaced.clone(),
            open_records: owned().map(|home| home.offsets.open_count()).sum(),
        }
    }

    /// Most requests that may be in flight now.
    pub fn concurrency_limit(&self) -> usize {
        self.limiter.limit()
    }

    /// Of each partition the oldest record that was read and has not ended.
    pub fn oldest_unread(&self) -> impl Iterator<Item = (&Partition, Timestamp)> {
        let owned = self.homes.iter().filter(|home| home.is_owned());
        owned.filter_map(|home| Some((&home.partition, home.offsets.oldest()?)))
    }

    /// The partitions whose records this replica delivers.
    pub fn owned_partitions(&self) -> Vec<Partition> {
        self.homes
            .iter()
            .filter(|home| home.is_owned())
            .map(|home| home.partition.clone())
            .collect()
    }

    fn breaker_view(&self, now: Duration) -> Option<BreakerView> {
        let views = self.routes.iter().filter_map(|route| {
            let (is_half_open, next_probe_in) = match route.breaker.state() {
                State::Closed => return None,
                State::Open { until } => (false, until.saturating_sub(now)),
                State::HalfOpen { .. } => (true, Duration::ZERO),
            };
            Some(BreakerView {
                model: route.model.to_string(),
                is_half_open,
                next_probe_in,
                last_failure: route.last_failure.clone(),
            })
        });
        views.max_by_key(|view| (!view.is_half_open, view.next_probe_in))
    }
}
