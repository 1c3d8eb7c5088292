//! `skip_unchanged`: what the consumer holds already is not sent again, though its version counts as acknowledged.
//!
//! The ledger tells what was acknowledged, not what was tried since. An older version that went unanswered may be what the
//! consumer holds, so whatever takes its place must be sent. A crash must not forget that either: the offset of what may have
//! been sent stays uncommitted until the one that took its place has ended, so that Kafka brings back both.

use std::time::Duration;

use super::Engine;
use super::delivery::{Delivery, Owner};
use super::ending::Acknowledged;
use crate::names::Operation;
use crate::rows::Held;
use crate::time::Now;

/// When what was put back is looked at again, if nothing has ended it.
const PUT_BACK_WAIT: Duration = Duration::from_secs(1);

impl Engine {
    /// Whether the ledger must be asked about a delivery, though it cannot be stale.
    pub(super) fn may_be_unchanged(&self, delivery: &Delivery) -> bool {
        let is_live = match delivery.record.operation {
            Operation::Create | Operation::Update | Operation::Delete => true,
            // A backfill makes a consumer hold what it should, whatever the ledger says.
            Operation::Snapshot => false,
        };
        self.route_at(delivery.place.home).skip_unchanged
            && is_live
            && delivery.owner == Owner::Kafka
            && delivery.tally.attempts == 0
            && delivery.instead_of.is_none()
    }

    /// Whether the consumer is known to hold what a delivery would bring.
    pub(super) fn is_unchanged(&self, delivery: &Delivery, held: Option<Held>, now: Now) -> bool {
        let Some(held) = held else { return false };
        self.may_be_unchanged(delivery)
            && is_same(delivery, held)
            // An older version that is undelivered may have been tried, here or in the partition that the key had before.
            && self.parked.of_key(delivery.id.key_hash).is_empty()
            && self.knows_all_of(delivery, now)
    }

    /// Ends a delivery without sending it, as if it had been acknowledged.
    pub(super) fn skip(&mut self, delivery: &Delivery, now: Now) {
        self.log_superseded(delivery, now);
        self.acknowledge(delivery, Acknowledged::AsSent, now);
    }

    /// Ends a delivery whose place in its lane a newer one takes, which is neither in the store nor on its way yet.
    pub(super) fn supersede_by(&mut self, older: &Delivery, newer: &mut Delivery, now: Now) {
        if !self.leaves_a_trace(older, newer) {
            return self.supersede(older, now);
        }
        // Kafka keeps the oldest, and brings back what was read after it.
        let between = newer
            .instead_of
            .replace(older.instead_of.unwrap_or(older.place));
        let ends = older.instead_of.map(|_| older.place);
        for place in between.into_iter().chain(ends) {
            self.journal.end(place);
        }
        self.log_superseded(older, now);
        self.forget(older);
    }

    /// Whether the consumer may hold something else because of the older one than the ledger says.
    fn leaves_a_trace(&self, older: &Delivery, newer: &Delivery) -> bool {
        let was_unchanged = || {
            let same = older.record.content_hash == newer.record.content_hash;
            self.may_be_unchanged(older) && same && is_delete(older) == is_delete(newer)
        };
        self.route_at(older.place.home).skip_unchanged
            && older.owner == Owner::Kafka
            && newer.owner == Owner::Kafka
            && !was_unchanged()
    }

    /// A newer version arrived for one that was read from the store, and may have been tried before: it goes to the store in
    /// its place, from which whatever comes is sent. False where nothing depends on it.
    pub(super) fn takes_place_in_store(&self, older: &Delivery, newer: &Delivery) -> bool {
        self.must_stay(older) && newer.owner == Owner::Kafka
    }

    /// Whether a delivery must stay in the store until a newer version has ended: what tells that it may have been tried.
    pub(super) fn must_stay(&self, delivery: &Delivery) -> bool {
        self.route_at(delivery.place.home).skip_unchanged && delivery.owner == Owner::Store
    }

    /// Forgets what was read from the store: a newer version is on its way, and ends it.
    pub(super) fn put_back(&mut self, delivery: &Delivery, now: Now) {
        self.parked
            .put_back(delivery.id, now.monotonic + PUT_BACK_WAIT);
        self.move_on(delivery.id, now);
        self.forget(delivery);
    }
}

fn is_same(delivery: &Delivery, held: Held) -> bool {
    let is_deleted = is_delete(delivery);
    !held.is_suspect
        && held.version < delivery.id.version
        && held.is_deleted == is_deleted
        && (is_deleted || held.content_hash == delivery.record.content_hash)
}

fn is_delete(delivery: &Delivery) -> bool {
    delivery.record.operation == Operation::Delete
}
