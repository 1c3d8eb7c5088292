//! What was read from the store and tried in company keeps its count of attempts, whatever becomes of it next. Found by the
//! simulation: when a breaker opened it went back to the store as it had come from there.

use std::time::Duration;

use relay_core::engine::Action;
use relay_core::exchange::{End, ErrorClass};
use relay_core::rows::ParkedChange;
use relay_core::settings::Batching;

use crate::desk::{DUE, Desk, answered, sends};

#[test]
fn a_breaker_that_opens_takes_no_attempt_from_a_record_of_the_store() {
    let mut desk = Desk::of(|knobs| {
        knobs.concurrency = 1;
        knobs.max_retries = 3;
        knobs.in_place = 0;
        knobs.buffer_bytes_max = 1 << 20;
    });
    desk.configure(|settings| {
        settings.route.batch = Some(Batching {
            records_max: 3,
            wait_max: Duration::from_secs(1),
            bytes_max: 1 << 20,
        });
    });
    desk.produce(relay_core::proto::Operation::Update, Some(0));
    for row in 0..2 {
        desk.produce_key(&format!("row-{row}"));
    }
    desk.assign();
    // Tried once before, and charged for it: it would go alone.
    let mut parked = desk.undelivered(1, DUE);
    parked.charged = 0;
    desk.load_with(0, vec![parked]);
    desk.read(2);
    desk.give_back_uncharged(1);
    assert!(sends(&desk.read(3)), "all three together");
    assert!(sends(&desk.answer(answered(500))), "one by one");
    let actions = desk.answer(End::Failed {
        class: ErrorClass::Connect,
        error: "refused".into(),
    });
    let flushed = actions.iter().find_map(|action| match action {
        Action::Flush { rows, .. } => Some(rows),
        _ => None,
    });
    let rows = flushed.expect("four attempts are enough to be written");
    let id = desk.key.delivery_id(1);
    let kept = rows.parked.iter().find_map(|change| match change {
        ParkedChange::Keep(row) if row.subject.id == id => Some((row.attempts, row.charged)),
        _ => None,
    });
    assert_eq!(kept, Some((2, 0)), "{:?}", rows.parked);
}

#[test]
fn a_refused_batch_that_asks_for_a_pause_goes_on_in_parts_after_it() {
    let mut desk = Desk::of(|knobs| knobs.buffer_bytes_max = 1 << 20);
    desk.configure(|settings| {
        settings.route.batch = Some(Batching {
            records_max: 2,
            wait_max: Duration::from_secs(1),
            bytes_max: 1 << 20,
        });
    });
    desk.produce_key("one");
    desk.produce_key("two");
    desk.assign();
    desk.load(0);
    desk.read(1);
    assert!(sends(&desk.read(2)), "both together");
    let mut conflict = answered(409);
    if let End::Answered(answer) = &mut conflict {
        answer.headers.push(("retry-after".into(), "8".into()));
    }
    assert!(!sends(&desk.answer(conflict)));
    assert!(!sends(&desk.pass(Duration::from_secs(7))));
    let sent = desk.pass(Duration::from_secs(1));
    let is_request = |action: &&Action| matches!(action, Action::Send { .. });
    assert_eq!(sent.iter().filter(is_request).count(), 2);
}
