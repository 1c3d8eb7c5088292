//! The promises of the design, kept whatever happens: a simulation, played from seeds.
//!
//! Each seed makes a [`world::World`]: three replicas, two topics, a store, a consumer, people and clocks, and draws what may
//! go wrong in it (swarm testing). Nothing in it is left to chance: a seed that breaks a promise breaks it again.
//! After each step:
//!
//! - ORDER: at most one request of a key is in flight, and none is older than what was acknowledged
//! - LOST: no committed offset passes a record that has neither ended in the log nor is undelivered in the store
//! - BUDGET: attempts are counted exactly, and charged ones never exceed 1 + `max_retries`
//! - NEIGHBOUR: breakers open only because of several keys, a `Retry-After` is respected, and so is a rate limit
//! - MEMORY: what waits for the store or the consumer is bounded
//!
//! At its end everything works again, and everything must arrive (STUCK, LOST). `bin/test sim --seeds N` plays more.
mod adaptive;
mod clocks;
mod company;
mod configured;
mod desk;
mod gaps;
mod held;
mod late_answers;
mod moving;
mod poison;
mod rate;
mod seeds;
mod unchanged;
mod unsent;
mod versions_back;
mod world;

use seeds::Seeds;
use world::endpoint::Weather;
use world::rules::Happening;
use world::{Dice, Rules, World};

/// What `bin/test core` plays; `bin/test sim` says how many.
const SEEDS: u64 = 300;

#[test]
fn every_promise_is_kept_in_every_seed() {
    Seeds::asked_for(SEEDS).play(Rules::swarm, |world| {
        world.play();
        world.heal();
        world.assert_all_is_delivered_or_visible();
        world.heal_wholly();
        world.assert_converged();
    });
}

#[test]
fn a_seed_plays_the_same_every_time() {
    let play = || {
        let mut dice = Dice::new(7);
        let mut world = World::new(Rules::swarm(&mut dice), dice);
        world.trace = Some(vec![]);
        world.play();
        world.heal();
        world.trace
    };
    assert_eq!(play(), play());
}

#[test]
fn one_or_two_keys_that_always_fail_never_open_the_breaker_and_are_exhausted() {
    let rules = |dice: &mut Dice| {
        let mut rules = Rules::calm(dice);
        rules.allow(Happening::Rebalance, 2);
        rules.allow(Happening::RefuseFlush, 2);
        rules.knobs.parked_max = 1_000;
        rules.poison_keys(dice);
        rules
    };
    Seeds::first(100).play(rules, |world| {
        world.play();
        world.heal();
        assert_eq!(world.breaker_openings(), 0, "NEIGHBOUR: a breaker opened");
        world.assert_poison_is_exhausted();
    });
}

#[test]
fn versions_that_go_back_lose_nothing_that_no_person_was_asked_about() {
    let rules = |dice: &mut Dice| {
        let mut rules = Rules::calm(dice);
        rules.steps = 1_500;
        rules.weathers = vec![Weather::Well, Weather::Mixed];
        rules.knobs.parked_max = 1_000;
        rules.allow(Happening::ChangeWeather, 1);
        rules.allow(Happening::GoBack, 1);
        rules.allow(Happening::RaiseGeneration, 1);
        rules.allow(Happening::PersonResumes, 1);
        rules.allow(Happening::Serve, 40);
        rules.allow(Happening::Hear, 40);
        rules.allow(Happening::LookOut, 2);
        if dice.happens(50) {
            rules.allow(Happening::Rebalance, 1);
        }
        rules
    };
    Seeds::first(100).play(rules, |world| {
        world.play();
        world.heal();
        world.heal_wholly();
        world.assert_converged();
    });
}

#[test]
fn an_endpoint_that_is_down_spends_no_budget() {
    let rules = |dice: &mut Dice| {
        let mut rules = Rules::calm(dice);
        rules.weathers = vec![dice.pick(&[Weather::Down, Weather::Unavailable])];
        rules.allow(Happening::ChangeWeather, 2);
        rules.allow(Happening::Rebalance, 2);
        rules
    };
    Seeds::first(100).play(rules, |world| {
        world.play();
        assert_eq!(
            world.charged(),
            0,
            "BUDGET: the endpoint's failures were charged"
        );
        world.heal();
        world.heal_wholly();
        world.assert_converged();
    });
}
