//! Versions of a source that went back hold the destination: nothing is dropped before an operator was asked.

use std::time::Duration;

use relay_core::engine::fetching::Hold;
use relay_core::engine::{Action, Event};
use relay_core::exchange::ErrorClass;
use relay_core::proto::Operation;
use relay_core::rows::{AttemptRow, Held, Outcome, ParkedState};
use relay_core::time::Timestamp;

use crate::desk::{Desk, answered, answered_with, asks_for_ledger, committed, sends};

const UPDATE: Operation = Operation::Update;
const MINUTE: Duration = Duration::from_secs(60);

fn at(minutes: u32) -> Timestamp {
    Timestamp::UNIX_EPOCH + MINUTE * minutes
}

/// A partition where version 5 was acknowledged, and the ledger says when it was committed. What is read next is version 1.
fn desk(operation: Operation, minutes_later: u32) -> (Desk, Held) {
    let mut desk = Desk::of(|knobs| knobs.parked_max = 1_000);
    desk.source_clock(at(minutes_later));
    let state = (operation != Operation::Delete).then_some(0);
    desk.produce(operation, state);
    desk.produce(operation, state);
    desk.assign();
    desk.load(5);
    let held = Held {
        version: 5,
        committed_at: at(0),
        ..desk.held(1)
    };
    (desk, held)
}

fn is_held(desk: &Desk) -> bool {
    desk.hold() == Some(Hold::VersionsBack)
}

/// What ended without a request, and why.
fn ends(desk: &mut Desk) -> Vec<(Outcome, Option<ErrorClass>, Option<String>)> {
    let (rows, _) = desk.write();
    let row = |row: &AttemptRow| (row.outcome, row.error_class, row.error.clone());
    rows.attempts.iter().map(row).collect()
}

#[test]
fn a_live_record_that_is_stale_but_clearly_newer_holds_the_destination_and_says_what_to_do() {
    for operation in [Operation::Create, UPDATE, Operation::Delete] {
        let (mut desk, held) = desk(operation, 11);
        assert!(asks_for_ledger(&desk.read(1)));
        let actions = desk.ledger(Some(held));
        assert!(is_held(&desk), "{operation:?}");
        let pauses = |action: &Action| matches!(action, Action::Pause { .. });
        assert!(actions.iter().any(pauses), "fetching goes on");
        let actions = desk.pass(MINUTE);
        assert_eq!(committed(&actions), None);
        assert!(
            !actions
                .iter()
                .any(|action| matches!(action, Action::Flush { .. }))
        );
        assert_eq!(
            desk.view().went_back.as_deref(),
            Some(
                "the versions of monolith went back: Vehicle vehicle-1 has version 1, committed at 1970-01-01T00:11:00.000000Z, \
                 after version 5, committed at 1970-01-01T00:00:00.000000Z: raise generation at monolith, then: \
                 destinations billing resume"
            )
        );
    }
}

#[test]
fn what_is_stale_and_not_clearly_newer_is_superseded_without_a_word() {
    for (operation, minutes) in [(UPDATE, 0), (UPDATE, 10), (Operation::Snapshot, 11)] {
        let (mut desk, held) = desk(operation, minutes);
        desk.read(1);
        desk.ledger(Some(held));
        assert!(!is_held(&desk), "{operation:?} {minutes}");
        assert_eq!(ends(&mut desk), [(Outcome::Superseded, None, None)]);
    }
}

#[test]
fn a_number_that_comes_again_at_another_time_is_another_version() {
    let (mut desk, held) = desk(UPDATE, 11);
    desk.read(1);
    desk.ledger(Some(Held { version: 1, ..held }));
    assert!(is_held(&desk));
}

#[test]
fn nothing_is_sent_while_versions_are_back_and_newer_ones_after_an_operator_had_a_look() {
    let (mut desk, held) = desk(UPDATE, 11);
    desk.produce_key("another");
    desk.go_back();
    desk.raise_generation();
    desk.produce(UPDATE, Some(1));
    desk.read(1);
    desk.ledger(Some(held));
    assert!(!sends(&desk.read(4)), "a newer version waits");

    let actions = desk.step(Event::Resumed { at: at(11) });
    assert!(!is_held(&desk));
    assert!(sends(&actions), "it is sent");
}

#[test]
fn what_was_committed_before_an_operator_had_a_look_is_superseded_and_says_so() {
    let (mut desk, held) = desk(UPDATE, 11);
    desk.read(1);
    desk.ledger(Some(held));
    desk.step(Event::Resumed { at: at(11) });
    assert!(!is_held(&desk));
    desk.ledger(Some(held));
    let [(Outcome::Superseded, Some(ErrorClass::VersionsBack), Some(why))] = &ends(&mut desk)[..]
    else {
        panic!("it has not ended")
    };
    assert!(
        why.ends_with("an operator has resumed billing at 1970-01-01T00:11:00.000000Z"),
        "{why}"
    );
    // What is read later of that time as well.
    desk.read(2);
    desk.ledger(Some(held));
    assert!(!is_held(&desk));
}

#[test]
fn what_is_committed_after_an_operator_had_a_look_holds_again() {
    let (mut desk, held) = desk(UPDATE, 11);
    desk.read(1);
    desk.ledger(Some(held));
    assert!(asks_for_ledger(&desk.step(Event::Resumed { at: at(10) })));
    desk.ledger(Some(held));
    assert!(is_held(&desk));
}

/// Two records of a key: one of before, and one whose version is lower though it was committed later.
fn gone_back() -> Desk {
    let mut desk = Desk::of(|knobs| knobs.parked_max = 1_000);
    desk.go_back();
    desk.raise_generation();
    desk.source_clock(at(0));
    desk.produce(UPDATE, Some(0));
    desk.go_back();
    desk.source_clock(at(11));
    desk.produce(UPDATE, Some(1));
    desk.assign();
    desk
}

#[test]
fn versions_that_only_memory_knows_count_as_well() {
    let waits = || {
        let mut desk = gone_back();
        desk.load(0);
        let words = Some("they migrate".into());
        desk.step(Event::Paused { words });
        assert!(!sends(&desk.read(1)));
        desk
    };
    let is_on_its_way = || {
        let mut desk = gone_back();
        desk.load(0);
        assert!(sends(&desk.read(1)));
        desk
    };
    let is_acknowledged = || {
        let mut desk = is_on_its_way();
        desk.answer(answered(200));
        desk
    };
    for (why, mut desk) in [
        ("it waits", waits()),
        ("it is on its way", is_on_its_way()),
        ("it is acknowledged", is_acknowledged()),
    ] {
        desk.read(2);
        assert!(desk.view().went_back.is_some(), "{why}");
    }
}

#[test]
fn an_old_version_that_is_published_again_does_not_take_the_place_of_one_that_went_back() {
    let mut desk = gone_back();
    desk.load(1 << 50);
    assert!(asks_for_ledger(&desk.read(2)));
    desk.publish_again(1);
    desk.read(3);
    assert!(is_held(&desk));
}

#[test]
fn what_is_undelivered_counts_by_when_it_was_committed_or_read() {
    for (committed_at, first_failed_at, is_held) in [
        (Some(at(0)), at(11), true),
        (Some(at(1)), at(0), false),
        (None, at(0), true),
        (None, at(1), false),
    ] {
        let mut desk = gone_back();
        let mut entry = desk.undelivered(1, ParkedState::Exhausted);
        entry.subject.id.version = 1 << 49;
        entry.committed_at = committed_at;
        entry.first_failed_at = first_failed_at;
        desk.load_with(0, vec![entry]);
        desk.read(2);
        assert_eq!(
            desk.view().went_back.is_some(),
            is_held,
            "{committed_at:?} {first_failed_at}"
        );
    }
}

#[test]
fn a_version_that_the_consumer_named_may_have_been_committed_just_now() {
    let mut desk = Desk::of(|knobs| knobs.parked_max = 1_000);
    desk.source_clock(Timestamp::UNIX_EPOCH - MINUTE * 60);
    desk.produce(UPDATE, Some(0));
    desk.source_clock(Timestamp::UNIX_EPOCH - MINUTE * 30);
    desk.produce(UPDATE, Some(1));
    desk.assign();
    desk.load(0);
    desk.read(1);
    desk.answer(answered_with(200, r#"{"status":"stale","version":3}"#));
    desk.read(2);
    assert!(!is_held(&desk));
    let (rows, _) = desk.write();
    assert_eq!(rows.ledger[0].committed_at, Timestamp::UNIX_EPOCH);
}

#[test]
fn a_partition_that_is_given_up_takes_what_was_set_aside_along() {
    let (mut desk, held) = desk(UPDATE, 11);
    desk.read(1);
    desk.ledger(Some(held));
    let actions = desk.revoke();
    assert!(
        actions
            .iter()
            .any(|action| matches!(action, Action::Release { .. }))
    );
    assert_eq!(committed(&actions), None);
    assert!(!is_held(&desk));
    assert_eq!(desk.view().buffered_bytes, 0);
}
