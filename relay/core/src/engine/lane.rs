//! The lanes: one per key, with at most one request in flight and at most one delivery waiting behind it.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::time::Duration;

use super::delivery::{Delivery, Owner, Place};
use crate::names::KeyHash;
use crate::rows::Held;
use crate::time::{Now, Timestamp};

/// One key's place in memory. It exists while something of the key is in flight, waits, or is not durable yet.
#[derive(Debug, Default)]
pub struct Lane {
    /// What is on its way to the destination.
    pub in_flight: Option<InFlight>,
    /// The newest version that waits; lower ones are superseded when it arrives.
    pub waiting: Option<Waiting>,
    /// The highest version acknowledged from this lane, whose ledger row may not be durable yet.
    pub acknowledged: Option<Held>,
    /// Acknowledgements that are in a batch and not durable yet.
    pub unflushed: u32,
}

impl Lane {
    /// Notes an acknowledgement, as the ledger will.
    pub fn acknowledge(&mut self, held: Held) {
        self.unflushed += 1;
        let known = self.acknowledged.get_or_insert(held);
        match known.version.cmp(&held.version) {
            Ordering::Less => *known = held,
            Ordering::Equal => known.is_suspect |= held.is_suspect,
            Ordering::Greater => known.is_suspect = true,
        }
    }

    pub fn is_idle(&self) -> bool {
        self.in_flight.is_none() && self.waiting.is_none() && self.unflushed == 0
    }

    /// Whether this very delivery is here already: the store may have been asked for it more than once.
    pub fn has(&self, delivery: &Delivery) -> bool {
        let is_same = |other: &Delivery| {
            other.id == delivery.id
                && other.place == delivery.place
                && other.owner == delivery.owner
        };
        let is_on_its_way = self.in_flight.is_some_and(|flight| {
            flight.version == delivery.id.version
                && flight.owner == delivery.owner
                && flight.is_of(delivery.place)
        });
        is_on_its_way
            || self
                .waiting
                .as_ref()
                .is_some_and(|waiting| is_same(&waiting.delivery))
    }

    /// The waiting delivery, when a request of it may be sent.
    pub fn is_ready(&self) -> bool {
        self.in_flight.is_none()
            && self
                .waiting
                .as_ref()
                .is_some_and(|waiting| waiting.turn == Turn::Ready)
    }
}

/// The version of a key that is on its way, and the assignment it was read in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InFlight {
    pub version: u64,
    pub committed_at: Timestamp,
    pub owner: Owner,
    pub home: usize,
    pub epoch: u32,
}

impl InFlight {
    /// Whether it was sent in the assignment that a record was read in.
    pub fn is_of(&self, place: Place) -> bool {
        self.home == place.home && self.epoch == place.epoch
    }
}

/// A delivery that waits in its lane.
#[derive(Debug)]
pub struct Waiting {
    pub delivery: Box<Delivery>,
    pub turn: Turn,
}

/// What a waiting delivery waits for, besides the request in flight of its lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// The ledger's answer whether it is stale.
    CheckingLedger,
    /// A retry in place is due then.
    At(Duration),
    /// Nothing.
    Ready,
}

impl Turn {
    /// After a wait, if there is one.
    pub fn after(wait: Duration, now: Now) -> Self {
        if wait.is_zero() {
            Self::Ready
        } else {
            Self::At(now.monotonic.saturating_add(wait))
        }
    }
}

/// All lanes by key.
pub type Lanes = HashMap<KeyHash, Lane, BuildHasherDefault<KeyHashHasher>>;

/// A key hash is a hash already: its first bytes are taken as they are.
#[derive(Debug, Default)]
pub struct KeyHashHasher(u64);

impl Hasher for KeyHashHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        let mut first = [0; 8];
        let length = bytes.len().min(8);
        first[..length].copy_from_slice(&bytes[..length]);
        self.0 ^= u64::from_le_bytes(first);
    }

    // The length prefix of an array says nothing.
    fn write_usize(&mut self, _: usize) {}
}
