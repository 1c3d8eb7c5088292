//! Versions that went back: a source whose numbering begins again publishes changes that would look stale for ever, with
//! every dashboard green.
//!
//! A live record that is not newer by its version, but was committed clearly later than what makes it stale, is neither sent
//! nor dropped: it is set aside, its offset stays, and the destination is held until an operator has had a look, raised the
//! source's generation, and says `resume`. What had been committed by then is superseded, for its rows carry higher versions
//! as soon as they are published again; what is committed later is set aside again.

use std::sync::Arc;
use std::time::Duration;

use super::delivery::{Delivery, Owner};
use super::parked::Row;
use super::{Engine, Step};
use crate::names::Operation;
use crate::rows::Held;
use crate::time::{Now, Timestamp, rfc3339};

/// Clocks step, and records of one moment commit in any order: less than this is no sign of anything.
const CLEARLY: Duration = Duration::from_secs(600);

/// What is set aside, and what operators have said of it.
#[derive(Debug, Default)]
pub(super) struct WentBack {
    /// In the order in which they were read.
    aside: Vec<Delivery>,
    /// What people are told: of the first of them.
    words: Option<Arc<str>>,
    resumed_at: Option<Timestamp>,
}

impl WentBack {
    pub fn is_empty(&self) -> bool {
        self.aside.is_empty()
    }

    pub fn words(&self) -> Option<&Arc<str>> {
        self.words.as_ref()
    }

    fn take(&mut self) -> Vec<Delivery> {
        self.words = None;
        std::mem::take(&mut self.aside)
    }

    /// Takes out what was read from a partition.
    fn take_home(&mut self, home: usize) -> Vec<Delivery> {
        let is_of = |delivery: &mut Delivery| delivery.place.home == home;
        let taken = self.aside.extract_if(.., is_of).collect();
        if self.aside.is_empty() {
            self.words = None;
        }
        taken
    }
}

/// A version of a key, and when it was committed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub version: u64,
    pub committed_at: Timestamp,
}

impl From<&Delivery> for Known {
    fn from(delivery: &Delivery) -> Self {
        Self {
            version: delivery.id.version,
            committed_at: delivery.record.committed_at,
        }
    }
}

impl From<Held> for Known {
    fn from(held: Held) -> Self {
        Self {
            version: held.version,
            committed_at: held.committed_at,
        }
    }
}

impl From<&Row> for Known {
    fn from(row: &Row) -> Self {
        Self {
            version: row.entry.subject.id.version,
            // Where that cannot be told, it was committed before it was read.
            committed_at: row.entry.committed_at.unwrap_or(row.entry.first_failed_at),
        }
    }
}

/// Of what is known of a key, that which makes a version stale: the last committed, for it carries the newest state.
pub(super) fn overtaken_by(version: u64, known: impl IntoIterator<Item = Known>) -> Option<Known> {
    known
        .into_iter()
        .filter(|known| known.version >= version)
        .max_by_key(|known| known.committed_at)
}

impl Engine {
    /// Ends a delivery that is stale because of what is known, unless it looks as if its source's versions went back.
    pub(super) fn end_as_stale(&mut self, delivery: Delivery, known: Option<Known>, now: Now) {
        let Some(known) = known.filter(|known| has_gone_back(&delivery, known)) else {
            return self.supersede(&delivery, now);
        };
        match self.went_back.resumed_at {
            Some(resumed_at) if delivery.record.committed_at <= resumed_at => {
                let why = format!(
                    "{}; an operator has resumed {} at {}",
                    comparison(&delivery, &known),
                    self.settings.name,
                    rfc3339(resumed_at)
                );
                self.supersede_as_gone_back(&delivery, why, now);
            }
            Some(_) | None => self.set_aside(delivery, &known),
        }
    }

    fn set_aside(&mut self, delivery: Delivery, known: &Known) {
        let name = &self.settings.name;
        self.went_back.words.get_or_insert_with(|| {
            let source = &delivery.stream.source;
            let comparison = comparison(&delivery, known);
            format!("{comparison}: raise generation at {source}, then: destinations {name} resume")
                .into()
        });
        self.went_back.aside.push(delivery);
    }

    /// An operator lets the destination go on: what was set aside is looked at again.
    pub(super) fn on_resumed(&mut self, at: Timestamp, step: &Step<'_>) {
        if self.went_back.resumed_at >= Some(at) {
            return;
        }
        self.went_back.resumed_at = Some(at);
        for delivery in self.went_back.take() {
            self.place(delivery, step.now);
        }
    }

    /// A partition is given up: Kafka brings back what was set aside of it.
    pub(super) fn forget_aside(&mut self, home: usize) {
        for delivery in self.went_back.take_home(home) {
            self.forget(&delivery);
        }
    }
}

/// Whether a live record was committed clearly later than a version that is not lower. A version that is published again has
/// the time of its commit again.
pub(super) fn has_gone_back(delivery: &Delivery, known: &Known) -> bool {
    let is_live = match delivery.record.operation {
        Operation::Create | Operation::Update | Operation::Delete => true,
        // Its version is that of the fence, its time that of the read.
        Operation::Snapshot => false,
    };
    let later = delivery
        .record
        .committed_at
        .duration_since(known.committed_at);
    is_live
        && delivery.owner == Owner::Kafka
        && Duration::try_from(later).is_ok_and(|later| later > CLEARLY)
}

fn comparison(delivery: &Delivery, known: &Known) -> String {
    let stream = &delivery.stream;
    format!(
        "the versions of {} went back: {} {} has version {}, committed at {}, after version {}, committed at {}",
        stream.source,
        stream.model,
        delivery.record.key,
        delivery.id.version,
        rfc3339(delivery.record.committed_at),
        known.version,
        rfc3339(known.committed_at)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_versions_that_make_one_stale_the_last_committed_speaks() {
        let known = |version, second| Known {
            version,
            committed_at: Timestamp::UNIX_EPOCH + Duration::from_secs(second),
        };
        let all = [known(7, 30), known(9, 10), known(8, 40), known(4, 90)];
        let found = |version| overtaken_by(version, all).map(|known| known.version);
        assert_eq!(found(5), Some(8), "not the highest, nor one that is lower");
        assert_eq!(found(9), Some(9), "an equal one counts");
        assert_eq!(found(10), None);
    }
}
