//! The promises of the design, kept for any interleaving of completions, parkings, revocations and restarts.
//!
//! Two replicas, a topic of two partitions, a store and a consumer, all played by [`world::World`]. A tape of choices
//! decides what happens next; after each step the world checks:
//!
//! - at most one request of a key is in flight;
//! - no older version of a key is sent after a newer one was acknowledged;
//! - a committed offset never passes a record that is neither ended in the log nor parked;
//! - charged attempts never exceed 1 + `max_retries`.
//!
//! When the tape is over and everything works again, everything must have been delivered.
mod world;

use proptest::prelude::*;
use world::{Behaviour, Rules, World};

fn tape() -> impl Strategy<Value = Vec<u32>> {
    prop::collection::vec(any::<u32>(), 50..700)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, max_shrink_iters: 3_000, ..ProptestConfig::default() })]

    #[test]
    fn everything_is_delivered_in_order_whatever_happens(tape in tape()) {
        let mut world = World::new(Rules { behaviour: Behaviour::Anything, may_lose_partitions: false });
        world.play(&tape);
        world.calm_down();
        world.assert_converged();
    }

    #[test]
    fn partitions_that_are_lost_lose_no_record(tape in tape()) {
        let mut world = World::new(Rules { behaviour: Behaviour::Anything, may_lose_partitions: true });
        world.play(&tape);
        world.calm_down();
        world.assert_converged();
    }

    #[test]
    fn one_key_that_always_fails_never_opens_the_breaker_and_is_exhausted(tape in tape()) {
        let mut world = World::new(Rules { behaviour: Behaviour::OnePoisonKey, may_lose_partitions: false });
        world.play(&tape);
        prop_assert_eq!(world.breaker_openings(), 0);
        world.let_time_pass();
        prop_assert_eq!(world.breaker_openings(), 0);
        world.assert_poison_is_exhausted_and_others_delivered();
    }

    #[test]
    fn an_endpoint_that_is_down_spends_no_budget(tape in tape()) {
        let mut world = World::new(Rules { behaviour: Behaviour::Down, may_lose_partitions: false });
        world.play(&tape);
        world.assert_no_budget_was_spent();
        world.calm_down();
        world.assert_converged();
    }
}
