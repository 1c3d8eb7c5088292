//! `skip_unchanged`: what the consumer is known to hold is not sent, and whatever it may not hold is.

use std::sync::Arc;

use relay_core::engine::{Action, Event};
use relay_core::proto::Operation;
use relay_core::rows::{Batch, Bounds, Held, Outcome, ParkedChange, ParkedState};

use crate::desk::{DUE, Desk, answered, answered_with, asks_for_ledger, committed, reset, sends};

const UPDATE: Operation = Operation::Update;

/// The versions of a row, from 1 on; the partition is owned, and everything acknowledged has version 1.
fn desk(versions: &[(Operation, Option<i64>)]) -> Desk {
    let mut desk = Desk::of(|knobs| {
        knobs.skip_unchanged = true;
        knobs.max_retries = 3;
        knobs.in_place = 1;
    });
    for (operation, state) in versions {
        desk.produce(*operation, *state);
    }
    desk.assign();
    desk
}

fn owned(versions: &[(Operation, Option<i64>)]) -> Desk {
    let mut desk = desk(versions);
    desk.load(1);
    desk
}

#[test]
fn what_the_ledger_says_to_be_held_is_superseded_and_raises_it() {
    for (operation, before) in [
        (UPDATE, Some(0)),
        (Operation::Create, Some(0)),
        (Operation::Delete, None),
    ] {
        let mut desk = owned(&[(UPDATE, before), (operation, before)]);
        assert!(asks_for_ledger(&desk.read(2)));
        let held = desk.held(1);
        let held = Held {
            is_deleted: before.is_none(),
            ..held
        };
        assert!(!sends(&desk.ledger(Some(held))), "{operation:?}");
        let (rows, actions) = desk.write();
        let [row] = &rows.attempts[..] else {
            panic!("{rows:?}")
        };
        assert_eq!((row.outcome, row.attempt), (Outcome::Superseded, 0));
        assert_eq!(Held::from(&rows.ledger[0]), desk.held(2));
        assert_eq!(rows.watermarks[0].version_max, 2);
        assert_eq!(committed(&actions), Some(desk.offset(2) + 1));
    }
}

#[test]
fn whatever_the_consumer_may_not_hold_is_sent() {
    let versions = [(UPDATE, Some(0)), (UPDATE, Some(0))];
    let mut suspect = owned(&versions).held(1);
    suspect.is_suspect = true;
    let mut deleted = owned(&versions).held(1);
    deleted.is_deleted = true;
    let first = owned(&versions).held(1);
    for (why, next, held) in [
        ("nothing was acknowledged", (UPDATE, Some(0)), None),
        ("it says something else", (UPDATE, Some(1)), Some(first)),
        ("the key is suspect", (UPDATE, Some(0)), Some(suspect)),
        ("it was deleted", (UPDATE, Some(0)), Some(deleted)),
        ("it was not", (Operation::Delete, None), Some(first)),
    ] {
        let mut desk = owned(&[versions[0], next]);
        assert!(!sends(&desk.read(2)));
        assert!(sends(&desk.ledger(held)), "{why}");
    }
}

#[test]
fn snapshots_are_sent_and_the_ledger_is_not_asked() {
    let mut desk = owned(&[(UPDATE, Some(0)), (Operation::Snapshot, Some(0))]);
    let read = desk.read(2);
    assert!(sends(&read) && !asks_for_ledger(&read));
}

#[test]
fn a_route_that_skips_nothing_does_not_ask_the_ledger() {
    let mut desk = Desk::new();
    desk.assign();
    desk.load(1);
    let read = desk.read(2);
    assert!(sends(&read) && !asks_for_ledger(&read));
}

#[test]
fn behind_a_request_of_the_same_content_nothing_is_sent_once_that_is_acknowledged() {
    for (end, is_sent) in [
        (answered(200), false),
        (answered(422), true),
        (answered_with(200, r#"{"status":"stale"}"#), true),
        (
            answered_with(200, r#"{"status":"stale","version":2}"#),
            true,
        ),
    ] {
        let mut desk = owned(&[(UPDATE, Some(0)), (UPDATE, Some(1)), (UPDATE, Some(1))]);
        desk.read(2);
        let held = desk.held(1);
        assert!(sends(&desk.ledger(Some(held))));
        let read = desk.read(3);
        assert!(!sends(&read) && !asks_for_ledger(&read));
        assert_eq!(sends(&desk.answer(end.clone())), is_sent, "{end:?}");
    }
}

#[test]
fn what_changes_back_is_sent_where_the_change_may_have_arrived() {
    let mut desk = owned(&[(UPDATE, Some(0)), (UPDATE, Some(1)), (UPDATE, Some(0))]);
    desk.read(2);
    let held = desk.held(1);
    desk.ledger(Some(held));
    desk.read(3);
    desk.answer(reset());
    // Nothing but the first version was acknowledged. A crash now must not forget the second.
    let (rows, actions) = desk.write();
    assert_eq!(rows.attempts.len(), 2, "a failed attempt, and its end");
    assert_eq!(committed(&actions), None);
    assert!(sends(&desk.step(Event::Tick)) || sends(&actions));
    desk.answer(answered(200));
    let (_, actions) = desk.write();
    assert_eq!(committed(&actions), Some(desk.offset(3) + 1));
}

#[test]
fn what_waited_before_a_record_that_changes_back_is_read_again_with_it() {
    for first in [(UPDATE, Some(1)), (Operation::Snapshot, Some(0))] {
        let mut desk = owned(&[
            (UPDATE, Some(0)),
            first,
            (UPDATE, Some(0)),
            (UPDATE, Some(0)),
        ]);
        desk.step(Event::Paused {
            words: Some("by a person".into()),
        });
        let held = desk.held(1);
        for version in [2, 3, 4] {
            desk.read(version);
            desk.ledger(Some(held));
        }
        let (rows, actions) = desk.write();
        assert!(rows.ledger.is_empty(), "nothing was skipped: {first:?}");
        assert_eq!(rows.attempts.len(), 2);
        assert_eq!(committed(&actions), None);
        assert!(sends(&desk.step(Event::Paused { words: None })));
    }
}

#[test]
fn of_several_that_say_what_is_held_none_is_sent() {
    let mut desk = owned(&[(UPDATE, Some(0)), (UPDATE, Some(0)), (UPDATE, Some(0))]);
    let held = desk.held(1);
    desk.read(2);
    desk.read(3);
    // The question was asked before the third came.
    assert!(asks_for_ledger(&desk.ledger(Some(held))));
    assert!(!sends(&desk.ledger(Some(held))));
    let (rows, actions) = desk.write();
    assert_eq!(rows.ledger.last().unwrap().version, 3);
    assert_eq!(committed(&actions), Some(desk.offset(3) + 1));
}

#[test]
fn a_partition_that_is_given_up_leaves_what_must_be_sent_in_the_store() {
    let mut desk = owned(&[(UPDATE, Some(0)), (UPDATE, Some(1)), (UPDATE, Some(0))]);
    desk.step(Event::Paused {
        words: Some("by a person".into()),
    });
    let held = desk.held(1);
    for version in [2, 3] {
        desk.read(version);
        desk.ledger(Some(held));
    }
    let rows = flushed(&desk.revoke());
    let [ParkedChange::Keep(row)] = &rows.parked[..] else {
        panic!("{rows:?}")
    };
    assert_eq!((row.subject.id.version, row.attempts), (3, 0));
}

#[test]
fn what_a_request_of_an_earlier_assignment_brought_does_not_stand_for_the_ledger() {
    let mut desk = desk(&[(UPDATE, Some(0)), (UPDATE, Some(1)), (UPDATE, Some(0))]);
    desk.load(0);
    desk.read(1);
    assert!(sends(&desk.ledger(None)));
    desk.lose();
    // Another replica had the partition meanwhile, and the second version was acknowledged to it.
    desk.assign();
    desk.load(2);
    assert!(asks_for_ledger(&desk.read(3)));
    assert!(!sends(&desk.answer(answered(200))));
    let held = desk.held(2);
    assert!(sends(&desk.ledger(Some(held))));
}

#[test]
fn beside_an_older_version_that_is_undelivered_nothing_is_skipped() {
    let mut desk = desk(&[(UPDATE, Some(0)), (UPDATE, Some(1)), (UPDATE, Some(0))]);
    let exhausted = desk.undelivered(2, ParkedState::Exhausted);
    desk.load_with(1, vec![exhausted]);
    desk.read(3);
    let held = desk.held(1);
    assert!(sends(&desk.ledger(Some(held))));
}

#[test]
fn what_is_read_from_the_store_stays_there_until_the_newer_version_has_ended() {
    for is_first in [true, false] {
        let mut desk = desk(&[(UPDATE, Some(0)), (UPDATE, Some(1)), (UPDATE, Some(0))]);
        let due = desk.undelivered(2, DUE);
        desk.load_with(1, vec![due]);
        let held = desk.held(1);
        desk.read(3);
        let row = desk.row(2, DUE);
        let asked = vec![row.subject.id];
        let read = Event::ParkedRead {
            asked,
            rows: vec![row],
        };
        let (sent, reads) = if is_first {
            desk.step(read);
            (desk.ledger(Some(held)), vec![])
        } else {
            (desk.ledger(Some(held)), desk.step(read))
        };
        assert!(sends(&sent) && !sends(&reads), "{is_first}");
        desk.answer(reset());
        let (rows, _) = desk.write();
        assert!(!rows.parked.iter().any(is_removal), "{rows:?}");
        desk.answer(answered(200));
        let (rows, _) = desk.write();
        assert!(rows.parked.iter().any(is_removal), "{rows:?}");
    }
}

#[test]
fn what_takes_the_place_of_one_from_the_store_goes_to_the_store() {
    let mut desk = desk(&[(UPDATE, Some(0)), (UPDATE, Some(1)), (UPDATE, Some(0))]);
    let due = desk.undelivered(2, DUE);
    desk.load_with(1, vec![due]);
    desk.step(Event::Paused {
        words: Some("by a person".into()),
    });
    let row = desk.row(2, DUE);
    let asked = vec![row.subject.id];
    desk.step(Event::ParkedRead {
        asked,
        rows: vec![row],
    });
    desk.read(3);
    let (rows, _) = desk.write();
    let is_kept = |change: &ParkedChange| match change {
        ParkedChange::Keep(row) => row.subject.id.version == 3,
        ParkedChange::Remove(_) | ParkedChange::Move(..) => false,
    };
    assert!(rows.ledger.is_empty());
    assert!(rows.parked.iter().any(is_kept), "{rows:?}");
}

fn is_removal(change: &ParkedChange) -> bool {
    matches!(change, ParkedChange::Remove(_))
}

#[test]
fn a_consumer_that_holds_something_newer_leaves_the_key_suspect() {
    let mut desk = owned(&[(UPDATE, Some(0)), (UPDATE, Some(1)), (UPDATE, Some(0))]);
    desk.read(2);
    let held = desk.held(1);
    desk.ledger(Some(held));
    desk.answer(answered_with(409, r#"{"status":"stale"}"#));
    let (rows, _) = desk.write();
    let [entry] = &rows.ledger[..] else {
        panic!("{rows:?}")
    };
    assert_eq!((entry.version, entry.is_suspect), (2, true));
}

fn flushed(actions: &[Action]) -> Arc<Batch> {
    let batch = actions.iter().find_map(|action| match action {
        Action::Flush { rows, .. } => Some(rows.clone()),
        _ => None,
    });
    batch.expect("something is written")
}

#[test]
fn of_several_that_made_room_none_keeps_its_offset_once_the_last_is_acknowledged() {
    let mut desk = owned(&[
        (UPDATE, Some(0)),
        (UPDATE, Some(1)),
        (UPDATE, Some(0)),
        (UPDATE, Some(1)),
    ]);
    desk.read(2);
    let held = desk.held(1);
    assert!(sends(&desk.ledger(Some(held))));
    desk.read(3);
    desk.read(4);
    desk.answer(reset());
    let (_, actions) = desk.write();
    assert!(sends(&actions), "the last is tried");
    desk.answer(answered(200));
    let (_, actions) = desk.write();
    assert_eq!(committed(&actions), Some(desk.offset(4) + 1));
}

/// Found by the simulation: a replica had sent a record and died before it could say so, then the record expired.
#[test]
fn nothing_is_skipped_where_records_expired_that_may_have_been_sent() {
    let sends_what_is_held = |bounds, has_lost_before| {
        let mut desk = Desk::of(|knobs| knobs.skip_unchanged = true);
        desk.produce(Operation::Update, Some(0));
        desk.produce(Operation::Update, Some(0));
        desk.bounds = bounds;
        desk.assign();
        let mut lost = desk.undelivered(1, ParkedState::Quarantined);
        lost.subject.record = None;
        desk.load_with(0, if has_lost_before { vec![lost] } else { vec![] });
        let held = desk.held(1);
        desk.read(2);
        sends(&desk.ledger(Some(held)))
    };
    let bounds = |begin, committed| Bounds { begin, committed };
    assert!(!sends_what_is_held(bounds(0, None), false));
    assert!(!sends_what_is_held(bounds(1, Some(1)), false));
    assert!(
        sends_what_is_held(bounds(1, None), false),
        "who knows what was read"
    );
    assert!(sends_what_is_held(bounds(1, Some(0)), false));
    assert!(
        sends_what_is_held(bounds(1, Some(1)), true),
        "it stands as a failure"
    );
}
