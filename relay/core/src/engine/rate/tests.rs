use proptest::prelude::*;

use super::*;

fn seconds(count: f64) -> Duration {
    Duration::from_secs_f64(count)
}

/// A replica that owns all partitions but those.
fn rate(limit: f64, owned: usize, all: usize) -> Rate {
    let mut rate = Rate::new(limit);
    rate.count(all);
    rate.refill(owned, Duration::ZERO);
    rate
}

/// Sends whatever is allowed until then; looks as often as it is told to.
fn sent_within(rate: &mut Rate, owned: usize, end: Duration) -> u32 {
    let (mut sent, mut now) = (0, Duration::ZERO);
    while now <= end {
        rate.refill(owned, now);
        while rate.allows() {
            rate.spend();
            sent += 1;
        }
        let Some(next) = rate.allows_at() else { break };
        assert!(next > now, "it waits for what has been");
        now = next;
    }
    sent
}

#[test]
fn without_a_limit_everything_is_allowed_and_nothing_waited_for() {
    let mut rate = Rate::new(0.0);
    rate.refill(0, seconds(1.0));
    for _ in 0..1_000 {
        assert!(rate.allows());
        rate.spend();
    }
    assert_eq!(rate.allows_at(), None);
}

#[test]
fn a_replica_takes_the_share_of_its_partitions() {
    for (limit, owned, all, expected) in [
        (10.0, 4, 4, 100),
        (10.0, 1, 4, 25),
        (0.5, 2, 2, 5),
        (500.0, 1, 2, 2_500),
        (10.0, 0, 4, 0),
    ] {
        let sent = sent_within(&mut rate(limit, owned, all), owned, seconds(10.0));
        // The last of them may be a nanosecond late.
        assert!(
            sent == expected || sent + 1 == expected,
            "{sent} of {limit} {owned}/{all}"
        );
    }
}

#[test]
fn until_the_partitions_are_counted_nothing_is_allowed() {
    let mut rate = Rate::new(10.0);
    rate.refill(4, Duration::ZERO);
    rate.refill(4, seconds(5.0));
    assert!(!rate.allows());
    assert_eq!(rate.allows_at(), None);
    rate.count(4);
    rate.refill(4, seconds(5.0));
    assert_eq!(
        rate.allows_at(),
        Some(seconds(5.1) + Duration::from_nanos(1))
    );
}

#[test]
fn a_silence_saves_up_a_tenth_of_a_second_at_most() {
    for (limit, burst) in [(1_000.0, 100), (5.0, 1)] {
        let mut rate = rate(limit, 1, 1);
        rate.refill(1, seconds(3_600.0));
        let mut sent = 0;
        while rate.allows() {
            rate.spend();
            sent += 1;
        }
        assert_eq!(sent, burst);
    }
}

#[test]
fn another_limit_holds_from_now_on_and_finds_nothing_saved() {
    let mut rate = rate(100.0, 4, 8);
    rate.refill(4, seconds(1.0));
    assert!(rate.allows());
    rate.set_limit(10.0);
    assert!(!rate.allows());
    rate.refill(4, seconds(1.0));
    let next = rate.allows_at().unwrap();
    assert!(next > seconds(1.199) && next < seconds(1.201), "{next:?}");
    rate.set_limit(0.0);
    assert!(rate.allows());
}

#[test]
fn what_moves_brings_nothing_along() {
    let mut rate = rate(1_000.0, 2, 2);
    rate.refill(2, seconds(1.0));
    rate.refill(0, seconds(1.0));
    assert!(!rate.allows(), "it owns nothing any more");
    rate.refill(2, seconds(100.0));
    assert!(!rate.allows(), "while it owned nothing it saved nothing");
    rate.refill(2, seconds(100.002));
    assert!(rate.allows());
}

proptest! {
    #[test]
    fn replicas_that_share_the_partitions_stay_below_the_limit_together(
        limit in 0.1_f64..2_000.0,
        owned in prop::collection::vec(0_usize..6, 1..5),
        millis in 1_u64..20_000,
    ) {
        let all = owned.iter().sum::<usize>().max(1);
        let end = Duration::from_millis(millis);
        let sent: u32 = owned
            .iter()
            .map(|owned| sent_within(&mut rate(limit, *owned, all), *owned, end))
            .sum();
        let allowed = limit * end.as_secs_f64();
        let sent = f64::from(sent);
        prop_assert!(sent <= allowed + 1e-6, "{} of {}", sent, allowed);
        let rounded = f64::from(u32::try_from(owned.len()).unwrap());
        let is_idle = owned.iter().all(|owned| *owned == 0);
        prop_assert!(is_idle || sent >= allowed - rounded - 1e-6);
    }

    #[test]
    fn however_seldom_it_is_looked_at_it_never_exceeds_its_rate(
        limit in 0.1_f64..500.0,
        steps in prop::collection::vec(0_u64..3_000, 1..60),
    ) {
        let mut rate = rate(limit, 1, 1);
        let (mut now, mut sent) = (Duration::ZERO, 0_u32);
        for step in steps {
            now += Duration::from_millis(step);
            rate.refill(1, now);
            while rate.allows() {
                rate.spend();
                sent += 1;
            }
        }
        prop_assert!(f64::from(sent) <= limit * now.as_secs_f64() + 1e-6);
    }
}
