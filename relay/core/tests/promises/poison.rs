//! Keys that nobody can deliver are retried for hours, a few at a time. On a quiet route they are all there is: they must not
//! keep its breaker open until somebody removes them.

use std::time::Duration;

use crate::desk::{Desk, answered};

const KEYS: usize = 3;

/// Three keys, each of which has failed once; so many open a breaker.
fn failed_with(status: u16) -> Desk {
    let mut desk = Desk::with_keys(KEYS, |knobs| {
        knobs.buffer_bytes_max = 1 << 20;
        knobs.concurrency = KEYS;
        knobs.max_retries = 5;
        knobs.in_place = 5;
    });
    assert_eq!(desk.view().in_flight, KEYS);
    for _ in 0..KEYS {
        desk.answer(answered(status));
    }
    desk
}

#[test]
fn what_has_been_charged_before_opens_no_breaker() {
    // A conflict is the record's fault and is charged; then it may be anybody's.
    let mut desk = failed_with(409);
    desk.pass(Duration::from_secs(5));
    assert_eq!(desk.view().in_flight, KEYS);
    for _ in 0..KEYS {
        desk.answer(answered(500));
    }
    assert!(desk.view().breaker.is_none());
}

#[test]
fn what_has_not_been_charged_does() {
    assert!(failed_with(500).view().breaker.is_some());
}
