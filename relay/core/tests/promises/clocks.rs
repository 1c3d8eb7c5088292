//! When a record is due is in the store by the wall clock of whoever wrote it there. Clocks differ, and are set: a record must
//! not wait for hours because one of them was hours ahead.

use std::time::Duration;

use relay_core::engine::Action;
use relay_core::rows::{ParkedReason, ParkedState};
use relay_core::time::Timestamp;

use crate::desk::{Desk, asks_for_parked};

/// `retry.cap` of these tests, and its jitter.
const LONGEST_WAIT: Duration = Duration::from_secs(72);

/// As a replica parks whose clock is three hours ahead of this one.
fn parked(reason: ParkedReason) -> ParkedState {
    ParkedState::Parked {
        reason,
        next_attempt_at: Timestamp::UNIX_EPOCH + Duration::from_secs(3 * 3_600),
    }
}

fn loaded(reason: ParkedReason) -> (Desk, Vec<Action>) {
    let mut desk = Desk::new();
    desk.assign();
    let parked = desk.undelivered(1, parked(reason));
    let actions = desk.load_with(0, vec![parked]);
    (desk, actions)
}

#[test]
fn nothing_waits_for_longer_than_a_retry_is_ever_let_wait() {
    for reason in [ParkedReason::Retry, ParkedReason::Probe] {
        let (mut desk, actions) = loaded(reason);
        assert!(!asks_for_parked(&actions));
        assert!(!asks_for_parked(&desk.pass(LONGEST_WAIT / 2)));
        assert!(asks_for_parked(&desk.pass(LONGEST_WAIT / 2)));
    }
}

#[test]
fn what_a_person_asked_for_is_due_whatever_the_clocks_say() {
    let (_, actions) = loaded(ParkedReason::Manual);
    assert!(asks_for_parked(&actions));
}
