//! A replica that stood still for so long that others may own its partitions does not make the requests that it had thought
//! of by then. They leave no trace: its next owner sends what they were to carry.

use std::time::Duration;

use relay_core::engine::{Action, Event};
use relay_core::exchange::{End, ErrorClass};

use crate::desk::{Desk, answered, reset, sends};

fn unsent(desk: &mut Desk) -> Vec<Action> {
    let request = desk.take_request();
    desk.step(Event::Unsent { request })
}

#[test]
fn a_request_that_was_not_made_frees_its_key_and_is_no_attempt() {
    let mut desk = Desk::new();
    desk.assign();
    desk.load(0);
    assert!(sends(&desk.read(1)));
    desk.step(Event::PollDeadlinePassed);
    desk.assign();
    desk.load(0);
    assert!(!sends(&desk.read(1)), "one request of a key at a time");
    assert!(sends(&unsent(&mut desk)));
    desk.answer(answered(200));
    let (rows, _) = desk.write();
    let attempts: Vec<_> = rows.attempts.iter().map(|row| row.attempt).collect();
    assert_eq!(attempts, [1]);
}

#[test]
fn whoever_did_not_make_a_request_owns_nothing_any_more() {
    let mut desk = Desk::new();
    desk.assign();
    desk.load(0);
    assert!(sends(&desk.read(1)));
    assert!(!sends(&desk.read(2)));
    assert!(!sends(&unsent(&mut desk)));
    assert!(desk.engine.owned_partitions().is_empty());
    assert_eq!(desk.view().in_flight, 0);
}

#[test]
fn a_probe_that_was_not_made_leaves_its_place_to_another() {
    let mut desk = Desk::new();
    let unreachable = End::Failed {
        class: ErrorClass::Connect,
        error: "refused".into(),
    };
    desk.assign();
    desk.load(0);
    assert!(sends(&desk.read(1)));
    desk.answer(unreachable);
    desk.read(2);
    assert!(sends(&desk.pass(Duration::from_secs(60))), "a probe");
    desk.step(Event::PollDeadlinePassed);
    unsent(&mut desk);
    desk.assign();
    desk.load(0);
    let mut actions = desk.read(1);
    actions.extend(desk.pass(Duration::from_secs(10)));
    assert!(sends(&actions), "another probe");
    desk.answer(reset());
    let breaker = desk.view().breaker.expect("it is open again");
    assert!(!breaker.is_half_open);
}
