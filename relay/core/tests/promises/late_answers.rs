//! The store answers what was asked before: before the partition was given up and came back, or before the record came that
//! waits for the answer. More may have been acknowledged meanwhile. Found by the simulation: an older version was sent after
//! a newer one was acknowledged. Nor does a request stand for a record that was read again after it was sent: it may fail.

use std::sync::Arc;
use std::time::Duration;

use relay_core::engine::{Action, Engine, Event, RequestId};
use relay_core::exchange::{Answer, End, ErrorClass, Exchange, HttpRequest, Timings};
use relay_core::names::{KeyHash, Partition};
use relay_core::rows::PartitionState;
use relay_core::time::{Now, Timestamp};

use crate::world::topics::{Key, Topics};
use crate::world::{Dice, Rules, settings};

struct Desk {
    engine: Engine,
    partition: Partition,
    key: Key,
    topics: Topics,
}

impl Desk {
    /// A topic with two records of a key, of versions 1 and 2.
    fn new() -> Self {
        let mut dice = Dice::new(1);
        let knobs = Rules::calm(&mut dice).knobs;
        let destination = Arc::new(settings::destination(&knobs));
        let key = Topics::keys().remove(0);
        let mut topics = Topics::default();
        topics.produce_new(&key, &mut dice);
        topics.produce_new(&key, &mut dice);
        Self {
            engine: Engine::new(destination, settings::limits(&knobs)),
            partition: key.partition.clone(),
            key,
            topics,
        }
    }

    fn step(&mut self, event: Event) -> Vec<Action> {
        let now = Now {
            monotonic: Duration::ZERO,
            wall: Timestamp::UNIX_EPOCH,
        };
        let mut actions = vec![];
        self.engine.step(event, now, 1, &mut actions);
        self.engine.step(Event::Tick, now, 2, &mut actions);
        actions
    }

    fn assign(&mut self) -> Vec<Action> {
        self.step(Event::Assigned {
            partition: self.partition.clone(),
        })
    }

    fn lose(&mut self) {
        self.step(Event::Lost {
            partitions: vec![self.partition.clone()],
        });
    }

    fn load(&mut self, watermark: u64) -> Vec<Action> {
        self.step(Event::Loaded {
            partition: self.partition.clone(),
            state: PartitionState {
                parked: vec![],
                watermark,
            },
        })
    }

    /// Reads the record of a version.
    fn read(&mut self, version: usize) -> Vec<Action> {
        let offsets = self.topics.between(&self.partition, 0, i64::MAX);
        let offset = offsets[version - 1].offset;
        let record = self.topics.record(&self.partition, offset).unwrap();
        self.step(Event::Record(record.clone()))
    }

    fn ledger(&mut self, found: Vec<(KeyHash, u64)>) -> Vec<Action> {
        self.step(Event::LedgerRead {
            partition: self.partition.clone(),
            asked: vec![self.key.delivery_id(1).key_hash],
            found,
        })
    }
}

fn asks_for_partition(actions: &[Action]) -> bool {
    actions
        .iter()
        .any(|action| matches!(action, Action::LoadPartition { .. }))
}

fn asks_for_ledger(actions: &[Action]) -> bool {
    actions
        .iter()
        .any(|action| matches!(action, Action::ReadLedger { .. }))
}

fn sends(actions: &[Action]) -> bool {
    actions
        .iter()
        .any(|action| matches!(action, Action::Send { .. }))
}

#[test]
fn what_was_loaded_for_an_earlier_assignment_is_loaded_again() {
    let mut desk = Desk::new();
    assert!(asks_for_partition(&desk.assign()));
    desk.lose();
    desk.assign();
    let of_the_earlier = desk.load(0);
    assert!(asks_for_partition(&of_the_earlier));
    assert!(desk.engine.owned_partitions().is_empty());
    desk.load(1);
    assert_eq!(desk.engine.owned_partitions(), [desk.partition.clone()]);
    assert!(
        !sends(&desk.read(1)),
        "version 1 may be stale: the ledger is asked first"
    );
}

#[test]
fn what_the_ledger_said_in_an_earlier_assignment_is_asked_again() {
    let mut desk = Desk::new();
    desk.assign();
    desk.load(1);
    assert!(asks_for_ledger(&desk.read(1)));
    desk.lose();
    desk.assign();
    desk.load(1);
    desk.read(1);
    let of_the_earlier = desk.ledger(vec![]);
    assert!(!sends(&of_the_earlier));
    assert!(asks_for_ledger(&of_the_earlier));
    let acknowledged = (desk.key.delivery_id(1).key_hash, 1);
    assert!(!sends(&desk.ledger(vec![acknowledged])));
}

#[test]
fn what_the_ledger_said_before_a_record_came_is_asked_again() {
    let mut desk = Desk::new();
    desk.assign();
    desk.load(2);
    assert!(asks_for_ledger(&desk.read(1)));
    desk.read(2);
    let of_the_earlier = desk.ledger(vec![]);
    assert!(!sends(&of_the_earlier));
    assert!(asks_for_ledger(&of_the_earlier));
    let acknowledged = (desk.key.delivery_id(1).key_hash, 2);
    assert!(!sends(&desk.ledger(vec![acknowledged])));
}

#[test]
fn a_request_of_an_earlier_assignment_does_not_stand_for_what_is_read_again() {
    for is_answered in [true, false] {
        let mut desk = Desk::new();
        desk.assign();
        desk.load(0);
        let (request, http) = sent(desk.read(1)).unwrap();
        desk.lose();
        desk.assign();
        desk.load(0);
        assert!(!sends(&desk.read(1)), "one request of a key at a time");
        let exchange = Exchange {
            end: if is_answered { answered() } else { reset() },
            timings: Timings::default(),
        };
        let after = desk.step(Event::Answer {
            request,
            http,
            exchange,
        });
        assert_eq!(sends(&after), !is_answered, "what failed is sent again");
    }
}

fn sent(actions: Vec<Action>) -> Option<(RequestId, HttpRequest)> {
    actions.into_iter().find_map(|action| match action {
        Action::Send { request, http } => Some((request, http)),
        _ => None,
    })
}

fn answered() -> End {
    End::Answered(Answer {
        status: 200,
        headers: vec![],
        body: vec![],
        is_truncated: false,
    })
}

fn reset() -> End {
    End::Failed {
        class: ErrorClass::Reset,
        error: "reset".into(),
    }
}
