//! The settings change while records are on their way: none is lost or sent twice, and each meets the new ones at its next
//! step.

use std::time::Duration;

use relay_core::engine::Action;
use relay_core::engine::fetching::Hold;
use relay_core::exchange::{Answer, End, ErrorClass};
use relay_core::request::Url;
use relay_core::rows::{Outcome, ParkedChange, ParkedState};

use crate::desk::{DUE, Desk, answered, pauses, reset, resumes, sends};

const SECOND: Duration = Duration::from_secs(1);

fn owner() -> Desk {
    let mut desk = Desk::of(|knobs| {
        knobs.max_retries = 3;
        knobs.in_place = 0;
        knobs.concurrency = 3;
        knobs.buffer_bytes_max = 1 << 20;
    });
    for row in 0..3 {
        desk.produce_key(&format!("row-{row}"));
    }
    desk.assign();
    desk.load(0);
    desk
}

fn refused() -> End {
    End::Failed {
        class: ErrorClass::Connect,
        error: "refused".into(),
    }
}

fn urls(actions: &[Action]) -> Vec<String> {
    let url = |action: &Action| match action {
        Action::Send { http, .. } => Some(http.url.to_string()),
        _ => None,
    };
    actions.iter().filter_map(url).collect()
}

#[test]
fn what_is_in_flight_ends_as_its_route_was_and_what_follows_goes_as_it_is() {
    let mut desk = owner();
    desk.read(1);
    // Of a URL that names the key a 404 is the record's fault, of another the endpoint's.
    desk.configure(|settings| {
        settings.route.url = Url::parse("http://127.0.0.1:1/{key}").unwrap();
    });
    desk.answer(answered(404));
    let (rows, _) = desk.write();
    let [ParkedChange::Keep(row)] = &rows.parked[..] else {
        panic!("{:?}", rows.parked)
    };
    assert_eq!(row.charged, 0, "the endpoint's fault");
    assert_eq!(urls(&desk.read(2)), ["http://127.0.0.1:1/row-1"]);
}

#[test]
fn a_lowered_number_of_retries_exhausts_at_the_next_attempt() {
    let mut desk = Desk::of(|knobs| {
        knobs.max_retries = 3;
        knobs.in_place = 0;
    });
    desk.produce(relay_core::proto::Operation::Update, Some(0));
    desk.assign();
    // Charged once before.
    let parked = desk.undelivered(1, DUE);
    desk.load_with(0, vec![parked]);
    desk.configure(|settings| settings.route.retry.max_retries = 1);
    assert!(sends(&desk.give_back(1)), "it is tried once more");
    desk.answer(reset());
    let (rows, _) = desk.write();
    let [ParkedChange::Keep(row)] = &rows.parked[..] else {
        panic!("{:?}", rows.parked)
    };
    assert_eq!((row.state, row.charged), (ParkedState::Exhausted, 2));
}

#[test]
fn a_shorter_hold_ends_one_that_an_endpoint_asked_for() {
    let mut desk = owner();
    desk.read(1);
    desk.answer(End::Answered(Answer {
        status: 503,
        headers: vec![("retry-after".into(), "30".into())],
        body: "".into(),
        is_truncated: false,
    }));
    assert!(!sends(&desk.read(2)));
    assert_eq!(desk.hold(), Some(Hold::RetryAfter));
    desk.configure(|settings| settings.retry_after_max = SECOND);
    assert!(!sends(&desk.pass(SECOND / 2)));
    assert!(sends(&desk.pass(SECOND)));
}

#[test]
fn batches_switched_off_send_what_was_gathering_one_by_one() {
    let mut desk = owner();
    desk.configure(|settings| {
        settings.route.batch = Some(relay_core::settings::Batching {
            records_max: 10,
            wait_max: 60 * SECOND,
            bytes_max: 1 << 20,
        });
    });
    desk.read(1);
    assert!(!sends(&desk.read(2)), "they wait for company");
    let actions = desk.configure(|settings| settings.route.batch = None);
    assert_eq!(urls(&actions).len(), 2);
    assert_eq!(desk.next_timer().map(|timer| timer < 60 * SECOND), None);
}

#[test]
fn a_shorter_wait_for_company_holds_for_what_is_gathering() {
    let mut desk = owner();
    let wait_a_minute = |settings: &mut relay_core::settings::Destination| {
        settings.route.batch = Some(relay_core::settings::Batching {
            records_max: 10,
            wait_max: 60 * SECOND,
            bytes_max: 1 << 20,
        });
    };
    desk.configure(wait_a_minute);
    desk.read(1);
    desk.configure(|settings| {
        if let Some(batch) = &mut settings.route.batch {
            batch.wait_max = SECOND;
        }
    });
    assert!(sends(&desk.pass(SECOND)));
}

#[test]
fn fewer_at_once_lets_those_in_flight_end_first() {
    let mut desk = owner();
    desk.read(1);
    desk.read(2);
    desk.configure(|settings| settings.concurrency = 1);
    assert!(!sends(&desk.read(3)));
    assert!(!sends(&desk.answer(answered(200))));
    assert!(sends(&desk.answer(answered(200))));
    let (rows, _) = desk.write();
    let delivered = |row: &relay_core::rows::AttemptRow| row.outcome == Outcome::Delivered;
    assert_eq!(rows.attempts.iter().filter(|row| delivered(row)).count(), 2);
}

#[test]
fn a_rate_limit_taken_away_lets_everything_go() {
    let mut desk = owner();
    desk.configure(|settings| settings.rate_limit = 10.0);
    assert!(!sends(&desk.read(1)));
    assert!(sends(&desk.configure(|settings| settings.rate_limit = 0.0)));
}

#[test]
fn what_was_read_far_ahead_of_a_rate_limit_is_not_too_much_without_it() {
    let mut desk = Desk::of(|knobs| {
        knobs.concurrency = 1;
        knobs.rate_limit = 10.0;
    });
    for row in 0..64 {
        desk.produce_key(&format!("row-{row}"));
    }
    desk.assign();
    desk.load(0);
    desk.configure_memory(1 << 20);
    let paused = (1..=64).any(|version| pauses(&desk.read(version)));
    assert!(paused);
    let actions = desk.configure(|settings| settings.rate_limit = 0.0);
    assert!(sends(&actions) && resumes(&actions));
}

#[test]
fn a_smaller_share_of_the_memory_stops_fetching_and_a_larger_one_resumes_it() {
    let mut desk = owner();
    desk.configure(|settings| settings.concurrency = 1);
    desk.read(1);
    desk.read(2);
    assert!(pauses(&desk.configure_memory(1)));
    assert_eq!(desk.hold(), Some(Hold::Buffer));
    assert!(resumes(&desk.configure_memory(1 << 20)));
}

#[test]
fn a_breaker_switched_off_lets_requests_flow() {
    let mut desk = owner();
    desk.read(1);
    desk.answer(refused());
    assert!(!sends(&desk.read(2)), "it is open");
    assert!(sends(&desk.configure(|settings| {
        settings.route.breaker.failure_ratio = 0.0;
    })));
}
