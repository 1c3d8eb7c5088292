//! A topic gets more partitions: what is undelivered of a key moves with it, and nothing of it is sent on the way.

use std::time::Duration;

use relay_core::engine::{Action, Event};
use relay_core::names::Partition;
use relay_core::proto::Operation;
use relay_core::rows::{
    CountChange, HomePartition, Move, ParkedChange, ParkedEntry, ParkedReason, ParkedState,
};
use relay_core::time::Timestamp;

use crate::desk::{
    DUE, Desk, answered, asks_for_ledger, asks_for_parked, reset, sends, versions_sent,
};

/// Partitions before and after. The key of the desk is in the first of three, and in the fourth of five.
const BEFORE: i32 = 3;
const AFTER: i32 = 5;
const THERE: i32 = 3;

const MINUTE: Duration = Duration::from_secs(60);

/// A retry in an hour.
fn later() -> ParkedState {
    ParkedState::Parked {
        reason: ParkedReason::Retry,
        next_attempt_at: Timestamp::from_second(3_600).unwrap(),
    }
}

/// A replica that owns the partition of the key, when there were so many.
fn owner() -> Desk {
    let mut desk = Desk::new();
    desk.assign();
    desk.count(BEFORE);
    desk
}

fn parked(desk: &Desk, state: ParkedState, home: HomePartition) -> ParkedEntry {
    ParkedEntry {
        home,
        ..desk.undelivered(1, state)
    }
}

const HERE: HomePartition = HomePartition {
    number: 0,
    of: Some(BEFORE),
};

/// The rows that move with what is flushed.
fn moves(actions: &[Action]) -> Vec<Move> {
    let changes = actions.iter().flat_map(|action| match action {
        Action::Flush { rows, .. } => rows.parked.clone(),
        _ => vec![],
    });
    let moves = changes.filter_map(|change| match change {
        ParkedChange::Move(_, to) => Some(to),
        ParkedChange::Keep(_) | ParkedChange::Remove(_) => None,
    });
    moves.collect()
}

fn there() -> Vec<Move> {
    vec![Move {
        from: 0,
        to: HomePartition {
            number: THERE,
            of: Some(AFTER),
        },
    }]
}

#[test]
fn what_waits_moves_when_the_count_changes_and_is_not_retried_here() {
    for state in [later(), ParkedState::Exhausted] {
        let mut desk = owner();
        let entry = parked(&desk, state, HERE);
        desk.load_with(0, vec![entry]);
        let mut actions = desk.count(AFTER);
        actions.extend(desk.pass(MINUTE));
        assert_eq!(moves(&actions), there());
        assert!(!asks_for_parked(&desk.pass(100 * MINUTE)));
    }
}

#[test]
fn what_was_parked_under_another_count_moves_before_it_is_read() {
    for state in [DUE, later()] {
        let mut desk = owner();
        desk.count(AFTER);
        let entry = parked(&desk, state, HERE);
        let mut actions = desk.load_with(0, vec![entry]);
        actions.extend(desk.pass(MINUTE));
        assert_eq!(moves(&actions), there());
        assert!(!asks_for_parked(&actions));
    }
}

#[test]
fn what_a_person_retries_moves_before_it_is_read() {
    let mut desk = owner();
    desk.count(AFTER);
    desk.load(0);
    let entries = vec![parked(&desk, DUE, HERE)];
    let mut actions = desk.step(Event::ManualRetries { entries });
    actions.extend(desk.pass(MINUTE));
    assert_eq!(moves(&actions), there());
    assert!(!asks_for_parked(&actions));
}

#[test]
fn what_was_being_tried_moves_as_soon_as_it_is_kept() {
    for charged_before in [0, 9] {
        let mut desk = owner();
        let entry = parked(&desk, DUE, HERE);
        assert!(asks_for_parked(&desk.load_with(0, vec![entry])));
        assert!(sends(&desk.give_back_charged(1, charged_before)));
        assert_eq!(moves(&desk.count(AFTER)), []);
        desk.answer(reset());
        let (rows, actions) = desk.write();
        let is_exhausted = rows.parked.iter().any(|change| match change {
            ParkedChange::Keep(row) => row.state == ParkedState::Exhausted,
            _ => false,
        });
        assert_eq!(is_exhausted, charged_before == 9);
        assert_eq!(moves(&actions), there());
        assert!(!asks_for_parked(&desk.pass(100 * MINUTE)));
    }
}

/// Its owner could still write it again, and take it back.
#[test]
fn what_is_not_durable_yet_does_not_move() {
    let mut desk = owner();
    let entry = parked(&desk, DUE, HERE);
    desk.load_with(0, vec![entry]);
    desk.give_back_charged(1, 9);
    desk.answer(reset());
    assert_eq!(moves(&desk.count(AFTER)), []);
    let (rows, actions) = desk.write();
    let is_move = |change: &ParkedChange| matches!(change, ParkedChange::Move(..));
    assert!(!rows.parked.iter().any(is_move));
    assert_eq!(moves(&actions), there());
}

/// Long after a change another partitioner must have put it there, and will put the next one there as well.
#[test]
fn what_was_read_soon_after_the_change_and_fails_moves_too() {
    for (after, does_move) in [(MINUTE, true), (11 * MINUTE, false)] {
        let mut desk = Desk::of(|knobs| {
            knobs.in_place = 0;
            knobs.max_retries = 3;
        });
        desk.produce(Operation::Update, Some(0));
        desk.assign();
        desk.count(BEFORE);
        desk.load(0);
        desk.count(AFTER);
        desk.pass(after);
        desk.read(1);
        assert!(sends(&desk.ledger(None)));
        desk.answer(reset());
        let (_, actions) = desk.write();
        assert_eq!(moves(&actions) == there(), does_move);
    }
}

/// With `skip_unchanged` an older version stays in the store until the newer one has ended.
#[test]
fn what_is_put_back_for_a_newer_version_moves_too() {
    let mut desk = Desk::of(|knobs| knobs.skip_unchanged = true);
    desk.produce(Operation::Update, Some(0));
    desk.produce(Operation::Update, Some(1));
    desk.assign();
    desk.count(BEFORE);
    let entry = parked(&desk, DUE, HERE);
    assert!(asks_for_parked(&desk.load_with(0, vec![entry])));
    desk.count(AFTER);
    desk.read(2);
    let mut actions = desk.give_back(1);
    actions.extend(desk.pass(MINUTE));
    assert_eq!(moves(&actions), there());
}

#[test]
fn where_the_count_never_changed_another_partitioner_may_decide() {
    let mut desk = owner();
    let home = HomePartition {
        of: Some(AFTER),
        ..HERE
    };
    desk.count(AFTER);
    let entry = parked(&desk, DUE, home);
    let actions = desk.load_with(0, vec![entry]);
    assert!(asks_for_parked(&actions));
    assert_eq!(moves(&actions), []);
}

/// The replica that owns the key's partition among more.
fn next_owner() -> (Desk, ParkedEntry) {
    let mut desk = Desk::new();
    desk.partition.number = THERE;
    desk.assign();
    desk.count(AFTER);
    desk.load(0);
    let home = HomePartition {
        number: THERE,
        of: Some(AFTER),
    };
    let entry = parked(&desk, DUE, home);
    (desk, entry)
}

#[test]
fn the_owner_of_the_keys_partition_finds_it_and_asks_the_ledger_before_it_is_sent() {
    let (mut desk, entry) = next_owner();
    let held = vec![];
    let entries = vec![entry];
    assert!(asks_for_parked(&desk.step(Event::Moved { entries, held })));
    let actions = desk.give_back(1);
    assert!(asks_for_ledger(&actions) && sends(&actions));
}

#[test]
fn what_the_ledger_holds_a_newer_version_of_ends_when_it_is_found() {
    let (mut desk, entry) = next_owner();
    let id = entry.subject.id;
    let held = vec![(id.key_hash, desk.held(2))];
    let entries = vec![entry];
    let mut actions = desk.step(Event::Moved { entries, held });
    assert!(!asks_for_parked(&actions));
    actions.extend(desk.pass(MINUTE));
    let ends = |action: &Action| match action {
        Action::Flush { rows, .. } => {
            matches!(&rows.parked[..], [ParkedChange::Remove(ended)] if *ended == id)
        }
        _ => false,
    };
    assert!(actions.iter().any(ends));
}

#[test]
fn what_comes_to_a_partition_that_was_lost_meanwhile_is_its_next_owners() {
    let (mut desk, entry) = next_owner();
    desk.lose();
    let (entries, held) = (vec![entry], vec![]);
    assert!(!asks_for_parked(&desk.step(Event::Moved { entries, held })));
}

#[test]
fn a_record_outside_of_its_keys_partition_is_never_sent_before_the_ledger_was_asked() {
    let mut desk = owner();
    desk.count(AFTER);
    desk.load(0);
    desk.pass(20 * MINUTE);
    let actions = desk.read(1);
    assert!(asks_for_ledger(&actions) && !sends(&actions));
    let misplaced = desk.view().misplaced;
    let (at, right) = misplaced.last.unwrap();
    assert_eq!((misplaced.records, at.partition, right), (1, 0, THERE));
    assert!(sends(&desk.ledger(None)), "it is delivered all the same");
}

#[test]
fn for_a_while_after_a_change_the_ledger_is_always_asked() {
    let asks_at = |change, then| {
        let mut desk = Desk::new();
        desk.assign();
        desk.count(BEFORE);
        desk.load(0);
        let topic = desk.partition.topic.clone();
        desk.step(Event::PartitionsNoted { topic, change });
        desk.pass(then);
        asks_for_ledger(&desk.read(1))
    };
    let seen_before = |age| Some(CountChange { before: 2, age });
    assert!(!asks_at(None, MINUTE));
    assert!(asks_at(seen_before(MINUTE), 8 * MINUTE));
    assert!(!asks_at(seen_before(MINUTE), 9 * MINUTE));
    assert!(!asks_at(seen_before(20 * MINUTE), MINUTE));
}

/// What was tried of the key may stand in another partition, and be what the consumer holds.
#[test]
fn nothing_is_skipped_as_unchanged_while_its_key_may_be_in_two_partitions() {
    let sends_what_is_held = |change| {
        let mut desk = Desk::of(|knobs| knobs.skip_unchanged = true);
        desk.produce(Operation::Update, Some(0));
        desk.produce(Operation::Update, Some(0));
        desk.assign();
        desk.count(BEFORE);
        desk.load_unnoted();
        let topic = desk.partition.topic.clone();
        let held = desk.held(1);
        let actions = desk.read(2);
        assert!(!asks_for_ledger(&actions), "nobody knows of changes yet");
        let actions = desk.step(Event::PartitionsNoted { topic, change });
        assert!(asks_for_ledger(&actions));
        sends(&desk.ledger(Some(held)))
    };
    assert!(!sends_what_is_held(None));
    let change = CountChange {
        before: 2,
        age: MINUTE,
    };
    assert!(sends_what_is_held(Some(change)));
}

/// What was parked in partitions that a topic does not have any more would have no owner. A replica that has not heard of more
/// of them yet must not take what belongs to those.
#[test]
fn the_owner_of_a_first_partition_looks_after_those_that_are_gone_and_no_others() {
    let mut desk = owner();
    desk.load(0);
    assert_eq!(desk.ends_of_topics(), [], "there may be more by now");
    desk.count(AFTER);
    assert_eq!(desk.ends_of_topics(), []);
    desk.count(BEFORE);
    let end = Partition {
        number: BEFORE,
        ..desk.partition.clone()
    };
    assert_eq!(desk.ends_of_topics(), [end]);
    desk.pass(11 * MINUTE);
    assert_eq!(desk.ends_of_topics(), [], "they have been found");
}

#[test]
fn a_topic_that_was_made_again_while_no_replica_ran_is_looked_after_as_well() {
    let mut desk = owner();
    desk.load(0);
    let topic = desk.partition.topic.clone();
    let change = Some(CountChange {
        before: AFTER,
        age: Duration::ZERO,
    });
    desk.step(Event::PartitionsNoted { topic, change });
    assert_eq!(desk.ends_of_topics().len(), 1);
    let (mut desk, _) = next_owner();
    desk.count(BEFORE);
    assert_eq!(desk.ends_of_topics(), [], "another owns the first");
}

/// Found by the simulation: an older version of the partition before took the place of a newer one that had failed.
#[test]
fn a_version_on_its_way_from_one_partition_makes_an_older_one_of_another_stale() {
    let mut desk = owner();
    desk.load(0);
    let before = desk.partition.clone();
    desk.count(AFTER);
    let after = Partition {
        number: THERE,
        ..before.clone()
    };
    let older = desk.record(1);
    let mut newer = desk.record(2);
    newer.coordinates.partition = THERE;
    desk.partition = after;
    desk.assign();
    desk.load(0);
    desk.step(Event::Record(newer));
    assert!(sends(&desk.ledger(None)));
    desk.partition = before;
    desk.step(Event::Record(older));
    desk.ledger(None);
    desk.answer(answered(500));
    let again = desk.pass(MINUTE);
    assert_eq!(versions_sent(&again), [2]);
}
