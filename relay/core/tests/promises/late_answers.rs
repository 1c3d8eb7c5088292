//! The store answers what was asked before: before the partition was given up and came back, or before the record came that
//! waits for the answer. More may have been acknowledged meanwhile. Found by the simulation: an older version was sent after
//! a newer one was acknowledged; a parked record was taken for another of its version, and removed while it was on its way. Nor does a request stand for a record that was read again after it was sent: it may fail.

use relay_core::rows::ParkedChange;

use crate::desk::{
    DUE, Desk, answered, asks_for_ledger, asks_for_parked, asks_for_partition, reset, sends,
};

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
    let of_the_earlier = desk.ledger(None);
    assert!(!sends(&of_the_earlier));
    assert!(asks_for_ledger(&of_the_earlier));
    let acknowledged = desk.held(1);
    assert!(!sends(&desk.ledger(Some(acknowledged))));
}

#[test]
fn what_the_ledger_said_before_a_record_came_is_asked_again() {
    let mut desk = Desk::new();
    desk.assign();
    desk.load(2);
    assert!(asks_for_ledger(&desk.read(1)));
    desk.read(2);
    let of_the_earlier = desk.ledger(None);
    assert!(!sends(&of_the_earlier));
    assert!(asks_for_ledger(&of_the_earlier));
    let acknowledged = desk.held(2);
    assert!(!sends(&desk.ledger(Some(acknowledged))));
}

#[test]
fn a_parked_record_that_comes_twice_is_one() {
    let mut desk = Desk::new();
    let parked = desk.undelivered(1, DUE);
    for _ in 0..2 {
        desk.lose();
        desk.assign();
        let asks = desk.load_with(0, vec![parked.clone()]);
        assert!(asks_for_parked(&asks));
    }
    assert!(sends(&desk.give_back(1)));
    assert!(!sends(&desk.give_back(1)));
    desk.answer(reset());
    let (rows, _) = desk.write();
    let is_kept = |change: &ParkedChange| matches!(change, ParkedChange::Keep(_));
    assert!(!rows.parked.is_empty() && rows.parked.iter().all(is_kept));
    assert_eq!(
        rows.attempts.len(),
        1,
        "one attempt, and no other end of it"
    );
}

#[test]
fn a_request_of_an_earlier_assignment_does_not_stand_for_what_is_read_again() {
    for (end, is_sent_again) in [(answered(200), false), (reset(), true)] {
        let mut desk = Desk::new();
        desk.assign();
        desk.load(0);
        assert!(sends(&desk.read(1)));
        desk.lose();
        desk.assign();
        desk.load(0);
        assert!(!sends(&desk.read(1)), "one request of a key at a time");
        assert_eq!(sends(&desk.answer(end)), is_sent_again);
    }
}
