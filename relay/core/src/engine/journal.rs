//! What has happened and is not durable yet: the batch that fills, and the one the store is writing.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::delivery::Place;
use crate::names::{DeliveryId, KeyHash};
use crate::rows::{AttemptRow, Batch, LedgerEntry, Move, ParkedChange, ParkedRow, Watermark};

/// How many times `flush_rows` may wait in memory before sending stops.
const BACKLOG_BATCHES: usize = 10;

/// The wait after the first refusal of a batch; doubles up to [`RETRY_CAP`].
const RETRY_BASE: Duration = Duration::from_millis(100);
const RETRY_CAP: Duration = Duration::from_secs(5);

/// When a batch is written.
#[derive(Debug, Clone, Copy)]
pub struct FlushLimits {
    pub rows: usize,
    pub interval: Duration,
}

/// Batches on their way to the store, one at a time.
#[derive(Debug)]
pub struct Journal {
    limits: FlushLimits,
    filling: Page,
    filling_since: Option<Duration>,
    writing: Option<Writing>,
    next_id: u64,
}

/// A batch and what becomes true once it is durable.
#[derive(Debug, Default)]
struct Page {
    batch: Batch,
    watermarks: HashMap<usize, Watermark>,
    ends: Ends,
}

/// What a durable batch ends.
#[derive(Debug, Default)]
pub struct Ends {
    /// Records that Kafka need not bring back.
    pub offsets: Vec<Place>,
    /// Keys with an acknowledgement in the batch.
    pub keys: Vec<KeyHash>,
    /// Undelivered records that the store holds now.
    pub kept: HashSet<DeliveryId>,
    /// Partitions with rows in the batch.
    homes: HashSet<usize>,
}

#[derive(Debug)]
struct Writing {
    id: u64,
    batch: Arc<Batch>,
    ends: Ends,
    refusals: u32,
    /// When a refused batch is written again; none while the store has it.
    retry_at: Option<Duration>,
}

impl Journal {
    pub fn new(limits: FlushLimits) -> Self {
        Self {
            limits,
            filling: Page::default(),
            filling_since: None,
            writing: None,
            next_id: 1,
        }
    }

    /// Notes a row of the log.
    pub fn log(&mut self, home: usize, row: AttemptRow, now: Duration) {
        self.touch(home, now);
        self.filling.batch.attempts.push(row);
    }

    /// Notes an acknowledgement, and raises the watermark of its partition: by its offset only where it was read from there.
    pub fn acknowledge(
        &mut self,
        home: usize,
        (partition, offset): (i32, Option<i64>),
        entry: LedgerEntry,
        now: Duration,
    ) {
        self.touch(home, now);
        let new = || Watermark {
            stream: entry.stream.clone(),
            partition,
            version_max: 0,
            offset_max: None,
        };
        let watermark = self.filling.watermarks.entry(home).or_insert_with(new);
        watermark.version_max = watermark.version_max.max(entry.version);
        watermark.offset_max = watermark.offset_max.max(offset);
        self.filling.ends.keys.push(entry.key_hash);
        self.filling.batch.ledger.push(entry);
    }

    /// Notes an undelivered record.
    pub fn keep(&mut self, home: usize, row: ParkedRow, now: Duration) {
        self.touch(home, now);
        self.filling.ends.kept.insert(row.subject.id);
        self.filling
            .batch
            .parked
            .push(ParkedChange::Keep(Box::new(row)));
    }

    /// Notes that an undelivered record has ended.
    pub fn remove(&mut self, home: usize, id: DeliveryId, now: Duration) {
        self.touch(home, now);
        self.filling.batch.parked.push(ParkedChange::Remove(id));
    }

    /// Notes that an undelivered record belongs to another partition.
    pub fn relocate(&mut self, home: usize, id: DeliveryId, to: Move, now: Duration) {
        self.touch(home, now);
        self.filling.batch.parked.push(ParkedChange::Move(id, to));
    }

    /// Notes that Kafka need not bring a record back once this batch is durable.
    pub fn end(&mut self, place: Place) {
        self.filling.ends.offsets.push(place);
    }

    fn touch(&mut self, home: usize, now: Duration) {
        self.filling_since.get_or_insert(now);
        self.filling.ends.homes.insert(home);
    }

    /// The batch to write now, if there is one. `is_urgent`: without waiting for more.
    pub fn take(&mut self, now: Duration, is_urgent: bool) -> Option<(u64, Arc<Batch>)> {
        if let Some(writing) = &mut self.writing {
            writing.retry_at.filter(|at| *at <= now)?;
            writing.retry_at = None;
            return Some((writing.id, writing.batch.clone()));
        }
        let since = self.filling_since?;
        let is_due = is_urgent
            || self.filling_rows() >= self.limits.rows
            || now >= since + self.limits.interval;
        is_due.then(|| self.turn_page())
    }

    fn turn_page(&mut self) -> (u64, Arc<Batch>) {
        let mut page = std::mem::take(&mut self.filling);
        self.filling_since = None;
        page.batch.watermarks = page.watermarks.into_values().collect();
        let (id, batch) = (self.next_id, Arc::new(page.batch));
        self.next_id += 1;
        self.writing = Some(Writing {
            id,
            batch: batch.clone(),
            ends: page.ends,
            refusals: 0,
            retry_at: None,
        });
        (id, batch)
    }

    /// The batch is durable: what that ends. None for a batch that is not being written.
    pub fn written(&mut self, id: u64) -> Option<Ends> {
        self.writing
            .take_if(|writing| writing.id == id)
            .map(|writing| writing.ends)
    }

    /// The store could not be written: the same batch is tried again after a while.
    pub fn refused(&mut self, id: u64, now: Duration) {
        if let Some(writing) = self.writing.as_mut().filter(|writing| writing.id == id) {
            let wait = RETRY_BASE
                .saturating_mul(2_u32.saturating_pow(writing.refusals))
                .min(RETRY_CAP);
            writing.refusals = writing.refusals.saturating_add(1);
            writing.retry_at = Some(now + wait);
        }
    }

    /// So much waits for the store that nothing more may be sent.
    pub fn is_backlogged(&self) -> bool {
        let writing = self
            .writing
            .as_ref()
            .map_or(0, |writing| writing.batch.attempts.len());
        self.filling_rows() + writing >= self.limits.rows * BACKLOG_BATCHES
    }

    /// The store refused the batch that it has.
    pub fn is_refused(&self) -> bool {
        self.writing
            .as_ref()
            .is_some_and(|writing| writing.refusals > 0)
    }

    pub fn is_empty(&self) -> bool {
        self.writing.is_none() && self.filling_since.is_none()
    }

    /// Rows of a partition that are not durable yet.
    pub fn holds(&self, home: usize) -> bool {
        self.filling.ends.homes.contains(&home)
            || self
                .writing
                .as_ref()
                .is_some_and(|writing| writing.ends.homes.contains(&home))
    }

    /// Whether a row of this delivery is in the batch that fills.
    pub fn keeps(&self, id: DeliveryId) -> bool {
        self.filling.ends.kept.contains(&id)
    }

    /// Whether a row of this delivery is not durable yet.
    pub fn holds_row(&self, id: DeliveryId) -> bool {
        let writing = self.writing.as_ref();
        self.keeps(id) || writing.is_some_and(|writing| writing.ends.kept.contains(&id))
    }

    /// When [`Journal::take`] has something to say.
    pub fn next_timer(&self) -> Option<Duration> {
        match &self.writing {
            Some(writing) => writing.retry_at,
            None => self.filling_since.map(|since| since + self.limits.interval),
        }
    }

    fn filling_rows(&self) -> usize {
        self.filling.batch.attempts.len() + self.filling.batch.parked.len()
    }
}
