//! A replica: its engine, what it has asked for, and what is on its way to the consumer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use relay_core::engine::{Action, Engine, Event, RequestId};
use relay_core::exchange::HttpRequest;
use relay_core::names::{DeliveryId, Partition};

use super::rules::Knobs;
use super::settings;

pub struct Replica {
    pub engine: Engine,
    /// Its configuration as it read it last.
    pub knobs: Knobs,
    pub asked: Vec<Asked>,
    /// What the store has answered and the replica has not heard.
    pub arriving: Vec<Event>,
    /// The last batch that the store has written, whether the replica heard of it or not.
    pub last_written: u64,
    pub flights: BTreeMap<RequestId, Flight>,
    /// Records that were refused in company, by the assignment in which they were, and how many may share a request now.
    pub divided: BTreeMap<(DeliveryId, u64), usize>,
    pub assigned: BTreeMap<Partition, Fetch>,
    /// Per key, the version below which nothing may be sent: what the replica was told when it loaded the partition, and
    /// what was acknowledged to it since.
    pub floors: BTreeMap<String, u64>,
    /// The group has given its partitions away, and it has not heard of it.
    pub is_expelled: bool,
    pub is_frozen: bool,
    pub is_stopping: bool,
    /// The words in which it was told that people have paused the destination.
    pub paused: Option<&'static str>,
    /// A `Retry-After` asks for silence until then.
    pub hold_until: Duration,
    /// How far its wall clock is wrong, in seconds.
    pub clock_error: i64,
}

/// What a replica wants of the store.
#[derive(Debug)]
pub enum Asked {
    Of(Action),
    ManualRetries(Vec<Partition>),
    /// What was handed to these partitions.
    Moved(Vec<Partition>),
}

/// A request on its way.
#[derive(Debug)]
pub struct Flight {
    pub riders: Vec<Rider>,
    pub model: String,
    pub http: HttpRequest,
    pub deadline: Duration,
}

/// A record that a request carries.
#[derive(Debug, Clone)]
pub struct Rider {
    pub id: DeliveryId,
    pub key: String,
    pub partition: Partition,
    /// The assignment in which it was sent; 0 for a key that has another partition than before.
    pub assignment: u64,
}

impl Rider {
    pub fn has_moved(&self) -> bool {
        self.assignment == 0
    }
}

/// A partition as its consumer sees it.
#[derive(Debug, Clone, Copy)]
pub struct Fetch {
    pub assignment: u64,
    pub position: i64,
    pub is_paused: bool,
    pub is_revoked: bool,
}

impl Replica {
    pub fn new(knobs: &Knobs) -> Self {
        let destination = Arc::new(settings::destination(knobs));
        Self {
            engine: Engine::new(destination, settings::limits(knobs)),
            knobs: *knobs,
            asked: vec![],
            arriving: vec![],
            last_written: 0,
            flights: BTreeMap::new(),
            divided: BTreeMap::new(),
            assigned: BTreeMap::new(),
            floors: BTreeMap::new(),
            is_expelled: false,
            is_frozen: false,
            is_stopping: false,
            paused: None,
            hold_until: Duration::ZERO,
            clock_error: 0,
        }
    }

    /// Whether the group may give it partitions.
    pub fn may_be_assigned(&self) -> bool {
        !self.is_expelled && !self.is_frozen && !self.is_stopping
    }

    /// Whether a record on its way belongs to an assignment that the replica still has.
    pub fn owns(&self, rider: &Rider) -> bool {
        self.assigned
            .get(&rider.partition)
            .is_some_and(|fetch| fetch.assignment == rider.assignment)
    }

    /// All records on their way.
    pub fn riders(&self) -> impl Iterator<Item = &Rider> {
        self.flights.values().flat_map(|flight| &flight.riders)
    }

    /// A key has got another partition: nothing is told by where it is on its way.
    pub fn let_go_of(&mut self, key: &str) {
        let riders = self
            .flights
            .values_mut()
            .flat_map(|flight| &mut flight.riders);
        riders
            .filter(|rider| rider.key == key)
            .for_each(|rider| rider.assignment = 0);
    }

    pub fn raise_floor(&mut self, key: &str, version: u64) {
        let floor = self.floors.entry(key.to_owned()).or_default();
        *floor = version.max(*floor);
    }

    pub fn is_idle(&self) -> bool {
        self.asked.is_empty() && self.arriving.is_empty() && self.flights.is_empty()
    }
}
