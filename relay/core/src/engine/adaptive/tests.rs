//! Endpoints of every kind, played on a virtual clock: where the limit goes, how fast, and what that costs.
#![expect(
    clippy::cast_precision_loss,
    reason = "counts of a test, far below 2^52"
)]

mod model;

use model::{Endpoint, Model, key};

use super::*;

const MOST: usize = 64;

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn model() -> Model {
    Model::new(Limiter::adaptive(MOST))
}

/// One that has reached the maximum.
fn at_most(endpoint: Endpoint) -> Model {
    let mut model = model();
    model.run(endpoint, seconds(10));
    assert_eq!(model.limit(), MOST);
    model
}

#[test]
fn a_healthy_endpoint_is_sent_the_maximum_within_a_second_and_for_ever() {
    for service in [ms(1), ms(5), ms(20)] {
        let endpoint = Endpoint::unlimited(service);
        let mut model = model();
        model.run(endpoint, seconds(1));
        let outcome = model.run(endpoint, seconds(60));
        assert_eq!((outcome.least, outcome.most), (MOST, MOST), "{service:?}");
    }
}

#[test]
fn it_loses_next_to_nothing_against_a_fixed_limit() {
    for endpoint in [
        Endpoint::unlimited(ms(2)),
        Endpoint::unlimited(ms(20)).varying(),
        Endpoint::unlimited(ms(500)),
        Endpoint::with_workers(48, ms(20)),
    ] {
        let answered = |limiter| {
            let mut model = Model::new(limiter);
            model.run(endpoint, seconds(10));
            model.run(endpoint, seconds(100)).answered as f64
        };
        let (adaptive, fixed) = (
            answered(Limiter::adaptive(MOST)),
            answered(Limiter::fixed(MOST)),
        );
        assert!(
            adaptive > fixed * 0.96,
            "{endpoint:?}: {adaptive} of {fixed}"
        );
    }
}

#[test]
fn an_endpoint_with_workers_is_kept_busy_without_a_queue() {
    for (workers, service) in [
        (4, ms(50)),
        (8, ms(50)),
        (8, ms(200)),
        (16, ms(50)),
        (30, ms(20)),
    ] {
        for endpoint in [
            Endpoint::with_workers(workers, service),
            Endpoint::with_workers(workers, service).varying(),
        ] {
            let mut model = model();
            model.run(endpoint, seconds(20));
            let outcome = model.run(endpoint, seconds(200));
            let limit = outcome.mean / workers as f64;
            assert!((1.0..2.0).contains(&limit), "{endpoint:?}: {outcome:?}");
            let capacity = workers as f64 * 200.0 / service.as_secs_f64();
            let share = outcome.answered as f64 / capacity;
            assert!(share > 0.9, "{endpoint:?}: {share} of what it can do");
            assert!(
                outcome.latency < service * 2 + TOLERATED,
                "{endpoint:?}: {outcome:?}"
            );
        }
    }
}

#[test]
fn a_queue_of_some_milliseconds_is_left_alone() {
    let endpoint = Endpoint::with_workers(16, ms(1));
    let outcome = at_most(endpoint).run(endpoint, seconds(60));
    assert_eq!(outcome.least, MOST);
}

#[test]
fn an_endpoint_that_refuses_is_sent_what_it_bears_and_seldom_more() {
    for bears in [1, 2, 5, 10, 30] {
        let endpoint = Endpoint::refusing_above(bears, ms(50));
        let mut model = model();
        let first = model.run(endpoint, seconds(10));
        assert!(first.refused <= 24, "{bears}: {first:?}");
        let outcome = model.run(endpoint, seconds(120));
        let limit = outcome.mean / bears as f64;
        assert!((0.8..1.1).contains(&limit), "{bears}: {outcome:?}");
        assert!(outcome.refused <= 160, "{bears}: {outcome:?}");
    }
}

#[test]
fn an_endpoint_that_takes_its_time_is_not_taken_for_a_slow_one() {
    let endpoint = Endpoint::unlimited(ms(500));
    let outcome = at_most(endpoint).run(endpoint, seconds(300));
    assert_eq!(outcome.least, MOST);
}

#[test]
fn one_that_takes_more_time_from_now_on_is_sent_fewer_only_as_long_as_it_takes_to_find_out() {
    let mut model = at_most(Endpoint::unlimited(ms(20)));
    let slower = Endpoint::unlimited(ms(500));
    let finding_out = model.run(slower, seconds(5));
    assert_eq!(finding_out.least, MOST / 2);
    assert_eq!(model.run(slower, seconds(60)).least, MOST);
    assert_eq!(model.run(slower.varying(), seconds(1)).most, MOST);
}

#[test]
fn an_endpoint_that_gets_worse_is_sent_less_within_seconds_and_more_again_when_it_gets_better() {
    let well = Endpoint::unlimited(ms(20));
    for (worse, bears) in [
        (Endpoint::with_workers(4, ms(20)), 4),
        (Endpoint::with_workers(8, ms(20)).varying(), 8),
        (Endpoint::refusing_above(10, ms(20)), 10),
    ] {
        let mut model = at_most(well);
        model.run(worse, seconds(3));
        let outcome = model.run(worse, seconds(20));
        assert!(
            outcome.mean < 2.0 * f64::from(bears),
            "{worse:?}: {outcome:?}"
        );
        model.run(well, seconds(8));
        assert_eq!(model.limit(), MOST, "{worse:?}");
    }
}

#[test]
fn an_endpoint_that_fails_now_and_then_however_few_there_are_is_sent_as_many() {
    let endpoint = Endpoint {
        fails_per_mille: 10,
        ..Endpoint::unlimited(ms(20))
    };
    let mut model = model();
    let outcome = model.run(endpoint, seconds(100));
    assert!(outcome.refused > 2_000, "{outcome:?}");
    assert!(outcome.mean > 0.95 * MOST as f64, "{outcome:?}");
}

#[test]
fn little_traffic_says_nothing() {
    for endpoint in [
        Endpoint::unlimited(ms(20)),
        Endpoint::with_workers(1, ms(20)),
    ] {
        let mut model = model().with_demand(1);
        let outcome = model.run(endpoint, seconds(60));
        assert_eq!((outcome.least, outcome.most), (2, 2), "{endpoint:?}");
    }
    let endpoint = Endpoint::unlimited(ms(20));
    let mut model = model().with_demand(20);
    let outcome = model.run(endpoint, seconds(60));
    assert!(outcome.most < 2 * 20, "it goes not far beyond: {outcome:?}");
    let mut model = at_most(endpoint).with_demand(3);
    let worse = model.run(Endpoint::unlimited(ms(200)), seconds(60));
    assert_eq!(worse.least, MOST);
}

#[test]
fn time_without_requests_does_not_count() {
    let endpoint = Endpoint::unlimited(ms(20));
    let mut model = model().with_demand(0);
    model.run(endpoint, seconds(600));
    let mut model = model.with_demand(usize::MAX);
    model.run(endpoint, ms(150));
    assert_eq!(model.limit(), 4, "the first round was one");
}

#[test]
fn an_answer_in_fifty_that_hangs_does_not_speak_for_the_others() {
    let mut limiter = Limiter::adaptive(1);
    for number in 0..100 {
        let now = ms(number * 20);
        limiter.pass(1, now);
        limiter.answered(now.saturating_sub(ms(20)), ms(20), now);
    }
    let base = limiter.base.unwrap();
    for number in 100..300 {
        let now = ms(number * 20);
        let latency = if number % 50 == 0 {
            seconds(300)
        } else {
            ms(20)
        };
        limiter.pass(1, now);
        limiter.answered(now.saturating_sub(ms(20)), latency, now);
    }
    assert_eq!(limiter.base, Some(base));
}

/// One that was never given a reason to go below the maximum.
fn untroubled() -> Limiter {
    Limiter {
        limit: 64,
        ..Limiter::adaptive(MOST)
    }
}

#[test]
fn failures_of_one_or_two_records_lower_nothing_and_of_several_they_do() {
    let mut limiter = untroubled();
    for round in 0..1_000 {
        let now = ms(round * 100);
        limiter.troubled(&[key(1)], now, now);
        limiter.troubled(&[key(2), key(3)], now, now);
        limiter.troubled(&[key(4), key(3)], now, now);
        assert_eq!(limiter.limit(), MOST);
    }
    let mut limiter = untroubled();
    for (number, limit) in [(1, MOST), (2, MOST), (3, MOST * 3 / 4)] {
        limiter.troubled(&[key(number)], ms(1), ms(1));
        assert_eq!(limiter.limit(), limit);
    }
}

#[test]
fn failures_among_ten_times_as_many_answers_lower_nothing() {
    for (answers, are_ignored) in [(8, false), (12, true)] {
        let mut limiter = untroubled();
        for number in 0..60 {
            let now = ms(number);
            for _ in 0..answers {
                limiter.answered(now, ms(1), now);
            }
            limiter.troubled(&[key(number)], now, now);
        }
        assert_eq!(limiter.limit() == MOST, are_ignored, "{answers} for each");
    }
}

#[test]
fn what_was_sent_before_the_limit_was_lowered_does_not_lower_it_once_more() {
    let mut limiter = untroubled();
    let (sent_at, now) = (ms(1), ms(2));
    for number in 0..64 {
        limiter.troubled(&[key(number)], sent_at, now);
    }
    assert_eq!(limiter.limit(), MOST * 3 / 4);
    for number in 0..64 {
        limiter.troubled(&[key(number)], now, ms(3));
    }
    assert_eq!(limiter.limit(), MOST * 9 / 16);
}

#[test]
fn it_never_goes_below_one_nor_above_what_is_configured() {
    for most in [1, 2, 3, 4096] {
        let mut limiter = Limiter::adaptive(most);
        for number in 0..1_000 {
            let now = ms(number);
            limiter.troubled(&[key(number)], now, now);
            assert!(limiter.limit() >= 1);
        }
        assert_eq!(limiter.limit(), 1);
        let mut model = Model::new(Limiter::adaptive(most));
        let outcome = model.run(Endpoint::unlimited(ms(5)), seconds(10));
        assert_eq!(outcome.most, most);
    }
}

#[test]
fn without_adapting_nothing_moves_it() {
    let mut model = Model::new(Limiter::fixed(MOST));
    for endpoint in [
        Endpoint::with_workers(1, ms(50)),
        Endpoint::refusing_above(1, ms(50)),
    ] {
        let outcome = model.run(endpoint, seconds(20));
        assert_eq!((outcome.least, outcome.most), (MOST, MOST));
    }
}
