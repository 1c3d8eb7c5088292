//! Records that nobody will ever read: they had expired before their turn came.
//!
//! Kafka goes on at the earliest record there is and says nothing. So the engine looks for stretches that were passed over,
//! at the beginning of an assignment and in its course. Markers of transactions and aborted records leave such stretches,
//! too; only those below the beginning of the partition are a loss. Each is a failure that people see: an undelivered row
//! without a record, and a row of the log. Until both are durable no offset is committed.

use super::delivery::{Owner, Place};
use super::ending::Unread;
use super::event::Action;
use super::table::{Home, Phase};
use super::{Engine, Step};
use crate::exchange::ErrorClass;
use crate::names::Partition;
use crate::record::Quarantine;
use crate::rows::Bounds;

/// What is known of the stretches of a partition that were not read.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    /// The first record that was read in this assignment.
    first: Option<i64>,
    /// The next offset, if none is passed over.
    next: Option<i64>,
    /// Where the assignment began is known.
    has_begun: bool,
    /// Passed over, and not explained yet: from the one to before the other.
    passed: Vec<Stretch>,
    /// Lost, and not durable yet, by their first offsets.
    unwritten: Vec<i64>,
    /// The assignment in which Kafka was asked, and how many of the stretches its answer explains.
    asked: Option<(u32, usize)>,
    /// What it said before the store had.
    early: Option<Bounds>,
    /// The highest offset that the store knew to be acknowledged.
    pub offset_max: Option<i64>,
    /// Some of the partition expired, now or before. It may have been sent by a replica that died before it could say so: the
    /// consumer may hold what no ledger tells.
    pub has_lost: bool,
}

/// Offsets from one to before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stretch {
    from: i64,
    to: i64,
}

impl Stretch {
    /// What of it is below the beginning of the partition.
    fn below(self, begin: i64) -> Option<Self> {
        let to = self.to.min(begin);
        (self.from < to).then_some(Self { to, ..self })
    }
}

impl Gaps {
    /// Notes a record that was read for the first time.
    pub fn read(&mut self, offset: i64) {
        if let Some(from) = self.next.filter(|next| *next < offset) {
            self.passed.push(Stretch { from, to: offset });
        }
        self.first.get_or_insert(offset);
        self.next = Some(offset + 1);
    }

    /// Whether something may have been lost that is not durable as a failure.
    pub fn hold_commits(&self) -> bool {
        !self.has_begun || !self.passed.is_empty() || !self.unwritten.is_empty()
    }

    /// Whether something may have been lost, now or before.
    pub fn may_have_lost(&self) -> bool {
        !self.has_begun || !self.passed.is_empty() || self.has_lost
    }

    /// Whether it is known where the assignment began.
    pub fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// What was noted of a stretch is durable.
    pub fn written(&mut self, from: i64) {
        self.unwritten.retain(|unwritten| *unwritten != from);
    }

    /// The assignment has ended. A question that is open stays so.
    pub fn leave(&mut self) {
        *self = Self {
            asked: self.asked,
            ..Self::default()
        };
    }

    /// The stretches that Kafka's answer shows to be lost.
    fn explain(&mut self, bounds: Bounds, explained: usize) -> Vec<Stretch> {
        let mut lost = vec![];
        let mut unexplained = None;
        if !self.has_begun {
            self.has_begun = true;
            // Offsets of a group expire as well.
            let known = self.offset_max.map(|offset| offset + 1);
            self.has_lost |= bounds.begin > bounds.committed.unwrap_or(0);
            if let Some(from) = bounds.committed.or(known) {
                let to = self.first.unwrap_or(i64::MAX);
                lost.extend(Stretch { from, to }.below(bounds.begin));
                // More may have expired between the answer and the first record.
                let from = from.max(bounds.begin);
                let rest = self.first.map(|to| Stretch { from, to });
                unexplained = rest.filter(|rest| rest.from < rest.to);
            }
            let begins_at = bounds.begin.max(bounds.committed.unwrap_or(0));
            self.next.get_or_insert(begins_at);
        }
        let passed = self.passed.drain(..explained);
        lost.extend(passed.filter_map(|stretch| stretch.below(bounds.begin)));
        self.passed.extend(unexplained);
        self.has_lost |= !lost.is_empty();
        self.unwritten
            .extend(lost.iter().map(|stretch| stretch.from));
        lost
    }
}

impl Home {
    /// Asks Kafka where the partition begins, if that would explain anything.
    pub fn find_bounds(&mut self, actions: &mut Vec<Action>) {
        let wants_to_know = !self.gaps.has_begun && self.gaps.early.is_none();
        if self.gaps.asked.is_none() && (wants_to_know || !self.gaps.passed.is_empty()) {
            self.gaps.asked = Some((self.epoch, self.gaps.passed.len()));
            actions.push(Action::FindBounds {
                partition: self.partition.clone(),
            });
        }
    }
}

impl Engine {
    pub(super) fn on_bounds(&mut self, partition: &Partition, bounds: Bounds, step: &mut Step<'_>) {
        let Some(&index) = self.home_of.get(partition) else {
            return;
        };
        let home = &mut self.homes[index];
        let asked = home.gaps.asked.take();
        let of_this_assignment = asked.filter(|(epoch, _)| *epoch == home.epoch);
        match (&home.phase, of_this_assignment) {
            (Phase::Away, _) => {}
            // What was committed then is not where this assignment began.
            (_, None) => home.find_bounds(step.actions),
            (Phase::Loading { .. }, Some(_)) => home.gaps.early = Some(bounds),
            (Phase::Owned | Phase::Draining, Some((_, explained))) => {
                self.explain(index, bounds, explained, step);
            }
        }
    }

    /// The store has said what it knows; Kafka may have been faster.
    pub(super) fn explain_early(&mut self, home: usize, step: &Step<'_>) {
        if let Some(bounds) = self.homes[home].gaps.early.take() {
            self.explain(home, bounds, 0, step);
        }
    }

    fn explain(&mut self, index: usize, bounds: Bounds, explained: usize, step: &Step<'_>) {
        let home = &mut self.homes[index];
        let lost = home.gaps.explain(bounds, explained);
        if let Some(first) = lost.first() {
            // Where nothing is left to be read, what is lost is passed over all the same.
            home.offsets.skip(first.from, bounds.begin);
        }
        for stretch in lost {
            self.record_loss(index, stretch, step);
        }
        if self.homes[index].offsets.has_read() {
            self.commit_at
                .get_or_insert(step.now.monotonic + self.limits.commit_interval);
        }
    }

    fn record_loss(&mut self, index: usize, Stretch { from, to }: Stretch, step: &Step<'_>) {
        let home = &self.homes[index];
        let partition = &home.partition;
        let records = to - from;
        let plural = if records == 1 { "" } else { "s" };
        let error = format!(
            "offsets {from} to {} of {}/{}, at most {records} record{plural}, had expired before they were read: publish \
             the rows again (rake replicates_to:backfill with NEW=1), and look for those that were deleted meanwhile",
            to - 1,
            partition.topic,
            partition.number,
        );
        let place = Place {
            home: index,
            epoch: home.epoch,
            partition: partition.number,
            offset: from,
        };
        let unread = Unread {
            place,
            owner: Owner::Kafka,
            value: None,
            known: None,
        };
        let gap = Quarantine {
            class: ErrorClass::OffsetGap,
            error,
            readable: None,
        };
        self.gap_records = self.gap_records.saturating_add(records.unsigned_abs());
        self.quarantine(&unread, gap, step);
    }
}
