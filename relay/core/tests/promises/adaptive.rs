//! `adaptive`: as many requests in flight as the endpoint bears. What that is the limiter finds out; here it is told.

use std::time::Duration;

use relay_core::engine::{Action, Event};
use relay_core::exchange::{End, ErrorClass};
use relay_core::settings::Batching;
use relay_core::verdict::{Class, Classify, Mark};

use crate::desk::{Desk, answered, reset};

const MOST: usize = 8;
const STEP: Duration = Duration::from_millis(20);

/// A replica that adapts, and a record of each of so many rows, all of them read.
fn desk(rows: usize) -> Desk {
    let mut desk = Desk::of(|knobs| {
        knobs.is_adaptive = true;
        knobs.concurrency = MOST;
        knobs.max_retries = 3;
        knobs.in_place = 0;
        knobs.buffer_bytes_max = 1 << 20;
    });
    for row in 0..rows {
        desk.produce_key(&format!("row-{row}"));
    }
    desk.assign();
    desk.load(0);
    for row in 1..=rows {
        desk.read(row);
    }
    desk
}

/// One that has found out that its endpoint bears the maximum.
fn well(rows: usize) -> Desk {
    let mut desk = desk(rows + 100);
    let mut left = 100;
    while left > 0 {
        pass(&mut desk, STEP);
        assert!(desk.view().in_flight > 0);
        for _ in 0..desk.view().in_flight.min(left) {
            left -= 1;
            end(&mut desk, answered(200));
        }
    }
    assert_eq!(desk.view().concurrency_limit, MOST);
    desk
}

/// Time passes, and what has ended is written.
fn pass(desk: &mut Desk, time: Duration) {
    let actions = desk.pass(time);
    write(desk, actions);
}

/// The oldest request ends.
fn end(desk: &mut Desk, end: End) {
    let actions = desk.answer_after(STEP, end);
    write(desk, actions);
}

fn write(desk: &mut Desk, mut actions: Vec<Action>) {
    while let Some(batch) = actions.iter().find_map(flushed) {
        actions = desk.step(Event::Flushed { batch });
    }
}

fn flushed(action: &Action) -> Option<u64> {
    match action {
        Action::Flush { batch, .. } => Some(*batch),
        _ => None,
    }
}

fn limit_after(desk: &mut Desk, ends: impl IntoIterator<Item = End>) -> usize {
    pass(desk, STEP);
    for end in ends {
        self::end(desk, end);
    }
    desk.view().concurrency_limit
}

fn timeout() -> End {
    End::Failed {
        class: ErrorClass::Timeout,
        error: "no answer".into(),
    }
}

#[test]
fn it_begins_with_few_and_comes_to_as_many_as_there_may_be() {
    let few = desk(10);
    assert_eq!((few.view().concurrency_limit, few.view().in_flight), (2, 2));
    let many = well(20);
    assert_eq!(many.view().in_flight, MOST);
}

#[test]
fn what_says_that_the_endpoint_bears_no_more_lowers_it_and_nothing_else_does() {
    for (end, is_too_much) in [
        (answered(429), true),
        (answered(500), true),
        (answered(503), true),
        (timeout(), true),
        (reset(), true),
        (answered(200), false),
        (answered(401), false),
        (answered(404), false),
        (answered(409), false),
        (answered(422), false),
    ] {
        let mut desk = well(20);
        let limit = limit_after(&mut desk, vec![end.clone(); 3]);
        assert_eq!(limit < MOST, is_too_much, "{end:?}");
    }
}

#[test]
fn a_refusal_that_a_route_takes_for_the_record_s_fault_lowers_it_all_the_same() {
    let limit_with = |status: u16| {
        let mut desk = well(20);
        desk.configure(|settings| {
            let retry = |status| (Mark::Status(status), Class::Retry);
            settings.route.classify = Classify::new([retry(429), retry(503)].into());
        });
        // Those in flight left before.
        let before = vec![answered(200); MOST];
        limit_after(&mut desk, before);
        limit_after(&mut desk, vec![answered(status); 3])
    };
    assert!(limit_with(429) < MOST);
    assert_eq!(limit_with(503), MOST);
}

#[test]
fn two_records_that_always_fail_lower_nothing_however_often_they_are_tried() {
    let mut desk = well(2);
    desk.configure(|settings| {
        settings.route.retry.max_retries = 20;
        settings.route.retry.in_place = 5;
        settings.route.retry.factor = 1.0;
    });
    let mut tries = 0;
    for _ in 0..10 {
        for _ in 0..desk.view().in_flight {
            tries += 1;
            end(&mut desk, answered(500));
        }
        pass(&mut desk, Duration::from_secs(2));
    }
    assert_eq!(tries, 12);
    assert_eq!(desk.view().concurrency_limit, MOST);
}

#[test]
fn a_request_counts_however_many_records_it_carries() {
    let mut desk = well(60);
    desk.configure(|settings| {
        settings.route.batch = Some(Batching {
            records_max: 5,
            wait_max: Duration::ZERO,
            bytes_max: 1 << 20,
        });
    });
    limit_after(&mut desk, vec![answered(200); MOST]);
    assert_eq!(limit_after(&mut desk, vec![answered(503); 2]), MOST);
    assert!(limit_after(&mut desk, [answered(503)]) < MOST);
}

#[test]
fn probes_say_nothing_and_what_ends_while_the_breaker_is_open_neither() {
    let mut desk = well(20);
    let unreachable = End::Failed {
        class: ErrorClass::Connect,
        error: "refused".into(),
    };
    assert_eq!(limit_after(&mut desk, [unreachable]), MOST);
    assert!(desk.view().breaker.is_some());
    assert_eq!(limit_after(&mut desk, vec![answered(503); MOST - 1]), MOST);
    for _ in 0..5 {
        pass(&mut desk, Duration::from_secs(30));
        pass(&mut desk, Duration::from_secs(2));
        assert_eq!(desk.view().in_flight, 1, "a probe");
        end(&mut desk, answered(503));
    }
    assert_eq!(desk.view().concurrency_limit, MOST);
}

#[test]
fn other_settings_hold_at_once() {
    let mut desk = well(40);
    desk.configure(|settings| settings.concurrency = 3);
    assert_eq!(desk.view().concurrency_limit, 3);
    desk.configure(|settings| settings.is_adaptive = false);
    desk.configure(|settings| settings.concurrency = 20);
    assert_eq!(
        (desk.view().concurrency_limit, desk.view().in_flight),
        (20, 20)
    );
    assert_eq!(limit_after(&mut desk, vec![answered(429); 5]), 20);
    desk.configure(|settings| settings.is_adaptive = true);
    assert_eq!(desk.view().concurrency_limit, 2, "nothing is known of it");
}
