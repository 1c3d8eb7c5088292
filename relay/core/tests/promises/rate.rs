//! `rate_limit`: requests wait for their turn, and what is far from it waits in Kafka.

use std::time::Duration;

use relay_core::engine::Event;
use relay_core::engine::fetching::Hold;

use crate::desk::{Desk, answered, pauses, resumes, sends};

const SECOND: Duration = Duration::from_secs(1);

/// A replica that owns one of two partitions, and a record of each of so many rows; ten requests a second for all.
fn desk(rows: usize) -> Desk {
    let mut desk = Desk::of(|knobs| {
        knobs.rate_limit = 10.0;
        knobs.concurrency = 1;
        knobs.buffer_bytes_max = 1 << 20;
    });
    for row in 0..rows {
        desk.produce_key(&format!("row-{row}"));
    }
    desk.assign();
    desk.load(0);
    desk
}

/// The other one is of another model.
fn two_partitions() -> Event {
    let topic = |model| format!("replicates_to.monolith.billing.{model}").into();
    Event::PartitionsCounted {
        topics: vec![(topic("Vehicle"), 1), (topic("Driver"), 1)],
    }
}

#[test]
fn a_request_waits_until_the_share_of_its_partitions_allows_it() {
    let mut desk = desk(3);
    assert!(!sends(&desk.read(1)));
    assert!(!sends(&desk.pass(SECOND)), "nobody knows its share yet");
    assert_eq!(desk.hold(), Some(Hold::RateLimit));
    desk.step(two_partitions());
    let next = desk.next_timer().unwrap();
    assert!(
        next > SECOND + SECOND / 6 && next < SECOND + SECOND / 4,
        "{next:?}"
    );
    assert!(!sends(&desk.pass(SECOND / 10)));
    assert!(sends(&desk.pass(SECOND / 9)));
    assert_eq!(desk.hold(), None, "nothing waits");
    desk.read(2);
    assert!(!sends(&desk.answer(answered(200))));
    assert_eq!(desk.hold(), Some(Hold::RateLimit));
    assert!(sends(&desk.pass(SECOND / 5)));
}

#[test]
fn no_more_is_read_than_may_soon_be_sent() {
    let mut desk = desk(64);
    desk.step(two_partitions());
    for version in 1..=63 {
        assert!(!pauses(&desk.read(version)), "{version}");
    }
    assert!(pauses(&desk.read(64)));
    for sent in 1..=32 {
        let actions = desk.pass(SECOND / 4);
        assert!(sends(&actions));
        assert_eq!(resumes(&actions), sent == 32, "half of it was sent");
        desk.answer(answered(200));
    }
}
