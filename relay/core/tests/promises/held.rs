//! What is held tells how late it is: a partition of which nothing was read yet has a lag, too.

use std::time::Duration;

use relay_core::engine::fetching::Hold;
use relay_core::engine::{Action, Event};

use crate::desk::{DUE, Desk, answered, sends};
use crate::world::settings::FLUSH_ROWS;

#[test]
fn a_held_partition_reads_until_it_has_a_record_whose_age_is_its_lag() {
    let mut desk = Desk::new();
    desk.step(Event::Paused {
        words: Some("they migrate".into()),
    });
    desk.assign();
    assert_eq!(fetches(&desk.load(0)), Some(true));
    let read = desk.read(1);
    assert_eq!(fetches(&read), Some(false));
    assert!(!sends(&read));
    assert!(desk.view().oldest_open.is_some());

    assert!(sends(&desk.step(Event::Paused { words: None })));
    desk.answer(answered(200));
    let (_, actions) = desk.write();
    assert_eq!(
        fetches(&actions),
        None,
        "it has been fetched since the pause ended"
    );
}

#[test]
fn what_waits_for_a_retry_is_as_late_as_it_was_committed_however_late_it_was_tried() {
    let mut desk = Desk::new();
    desk.assign();
    let mut parked = desk.undelivered(1, DUE);
    let committed_at = parked.first_failed_at - Duration::from_secs(3_600);
    parked.committed_at = Some(committed_at);
    desk.load_with(0, vec![parked.clone()]);
    assert_eq!(desk.view().oldest_parked, Some(committed_at));

    // The clock of its source is ahead.
    parked.committed_at = Some(parked.first_failed_at + Duration::from_secs(60));
    desk.lose();
    desk.assign();
    desk.load_with(0, vec![parked.clone()]);
    assert_eq!(desk.view().oldest_parked, Some(parked.first_failed_at));
}

#[test]
fn nothing_more_is_sent_while_what_came_of_ten_batches_waits_for_the_store() {
    let mut desk = Desk::with_keys(100, |knobs| {
        knobs.buffer_bytes_max = 1 << 20;
        knobs.concurrency = 1;
    });
    let mut sent = 0;
    while desk.view().in_flight > 0 {
        sent += 1;
        desk.answer(answered(200));
    }
    assert_eq!(sent, 10 * FLUSH_ROWS);
    assert_eq!(desk.hold(), Some(Hold::Store));
    assert!(!sends(&desk.pass(Duration::from_secs(60))));
    assert!(sends(&desk.step(Event::Flushed { batch: 1 })), "it is back");
}

#[test]
fn nothing_is_read_where_there_is_no_room_for_what_cannot_be_decoded() {
    let mut desk = Desk::of(|knobs| knobs.parked_max = 1);
    desk.step(Event::Counted { undelivered: 1 });
    desk.assign();
    assert_eq!(fetches(&desk.load(0)), None);
}

#[test]
fn a_topic_that_is_compacted_is_not_read_and_says_why_until_it_is_one_no_more() {
    let mut desk = Desk::new();
    desk.assign();
    assert_eq!(fetches(&desk.load(0)), Some(true));
    let topics = vec![desk.partition.topic.clone()];
    assert_eq!(fetches(&desk.step(Event::Refused { topics })), Some(false));
    let words = desk.view().refused.unwrap();
    assert!(words.ends_with("set cleanup.policy=delete"), "{words}");

    // Given up and taken back, it is refused still.
    desk.lose();
    desk.assign();
    assert_eq!(fetches(&desk.load(0)), None);
    let topics = vec![];
    assert_eq!(fetches(&desk.step(Event::Refused { topics })), Some(true));
    assert_eq!(desk.view().refused, None);
}

/// Whether the partition is fetched from now on; none where that does not change.
fn fetches(actions: &[Action]) -> Option<bool> {
    let change = |action: &Action| match action {
        Action::Resume { .. } => Some(true),
        Action::Pause { .. } => Some(false),
        _ => None,
    };
    actions.iter().rev().find_map(change)
}
