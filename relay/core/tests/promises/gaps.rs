//! What expired before it was read is a failure that people see, durable before anything after it is committed.

use relay_core::engine::Action;
use relay_core::exchange::ErrorClass;
use relay_core::names::{Coordinates, DeliveryId, KeyHash};
use relay_core::proto::Operation;
use relay_core::rows::{Batch, Bounds, Outcome, ParkedChange, ParkedRow, ParkedState};

use crate::desk::{Desk, answered, committed};

/// A topic whose first records are gone, and a group that was to read one of them.
fn desk(begin: i64, committed: Option<i64>) -> Desk {
    let mut desk = Desk::new();
    desk.bounds = Bounds { begin, committed };
    desk
}

fn losses(rows: &Batch) -> Vec<&ParkedRow> {
    fn kept(change: &ParkedChange) -> Option<&ParkedRow> {
        match change {
            ParkedChange::Keep(row) => Some(row),
            ParkedChange::Remove(_) | ParkedChange::Move(..) => None,
        }
    }
    rows.parked.iter().filter_map(kept).collect()
}

#[test]
fn offsets_below_the_beginning_are_a_failure_that_names_them() {
    let mut desk = desk(100, Some(7));
    desk.assign();
    desk.load(0);
    let (rows, actions) = desk.write();
    let [loss] = losses(&rows)[..] else {
        panic!("{rows:?}")
    };
    assert_eq!(loss.state, ParkedState::Quarantined);
    assert_eq!(loss.error_class, Some(ErrorClass::OffsetGap));
    let at = Coordinates {
        topic: desk.partition.topic.clone(),
        partition: desk.partition.number,
        offset: 7,
    };
    let id = DeliveryId {
        key_hash: KeyHash::of_coordinates("billing", &at),
        version: 0,
    };
    assert_eq!((loss.subject.id, &loss.coordinates), (id, &at));
    assert!(
        loss.error.starts_with(
            "offsets 7 to 99 of replicates_to.monolith.billing.Vehicle/0, at most 93 records, had expired before they \
             were read"
        ),
        "{}",
        loss.error
    );
    let [line] = &rows.attempts[..] else {
        panic!("{rows:?}")
    };
    assert_eq!((line.outcome, line.attempt), (Outcome::Quarantined, 0));
    assert_eq!(line.subject.id, id);
    assert_eq!(committed(&actions), Some(100));
    assert_eq!(desk.view().gap_records, 93);
}

#[test]
fn nothing_is_committed_before_it_is_known_that_nothing_was_lost() {
    let mut desk = desk(0, Some(0));
    desk.is_kafka_silent = true;
    desk.assign();
    desk.load(0);
    desk.read(1);
    desk.answer(answered(200));
    let (_, actions) = desk.write();
    assert_eq!(committed(&actions), None);
    desk.tell_bounds();
    let actions = desk.pass(std::time::Duration::from_secs(1));
    assert_eq!(committed(&actions), Some(desk.offset(1) + 1));
}

#[test]
fn a_group_that_never_read_a_partition_lost_nothing_of_it() {
    for (begin, committed, offset_max) in [
        (100, None, None),
        (100, Some(100), Some(3)),
        (100, Some(180), None),
        (100, None, Some(99)),
    ] {
        let mut desk = desk(begin, committed);
        desk.offset_max = offset_max;
        desk.assign();
        desk.load(0);
        let actions = desk.pass(std::time::Duration::from_secs(1));
        let writes = |action: &Action| matches!(action, Action::Flush { .. });
        assert!(!actions.iter().any(writes), "{committed:?} {offset_max:?}");
    }
}

#[test]
fn where_the_offset_of_a_group_has_expired_the_store_knows_how_far_it_had_come() {
    let mut desk = desk(100, None);
    desk.offset_max = Some(41);
    desk.assign();
    desk.load(0);
    let (rows, _) = desk.write();
    let [loss] = losses(&rows)[..] else {
        panic!("{rows:?}")
    };
    assert!(
        loss.error.starts_with("offsets 42 to 99 of "),
        "{}",
        loss.error
    );
}

#[test]
fn offsets_that_are_passed_over_are_a_loss_only_below_the_beginning() {
    for (is_expired, losses_expected) in [(false, 0), (true, 1)] {
        let mut desk = Desk::of(|_| ());
        for _ in 0..30 {
            desk.produce(Operation::Update, Some(0));
        }
        desk.assign();
        desk.load(0);
        desk.read(1);
        if is_expired {
            desk.bounds.begin = desk.offset(30);
        }
        desk.read(30);
        desk.answer(answered(200));
        let (rows, _) = desk.write();
        assert_eq!(losses(&rows).len(), losses_expected);
    }
}
