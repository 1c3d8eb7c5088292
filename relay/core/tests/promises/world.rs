//! A world around three engines: Kafka, the store, the consumer, people and the clock, all played from one seed.
//!
//! - [`rules`]: what may happen in this seed, and how often
//! - [`happen`], [`members`]: one step of it; [`group`], [`store`], [`endpoint`] and [`topics`] play their parts
//! - [`carry_out`]: what an engine asks for, and what is checked of it
//! - [`accounts`], [`breaker_watch`], [`rate_watch`]: the world's own count, against which the engine's is held
//! - [`healing`]: everything works again, and everything must arrive
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod accounts;
mod breaker_watch;
mod carry_out;
mod dice;
pub mod endpoint;
mod group;
mod happen;
mod healing;
mod members;
mod rate_watch;
mod replica;
pub mod rules;
pub mod settings;
mod store;
pub mod topics;

use std::time::Duration;

use relay_core::engine::Event;
use relay_core::engine::view::BreakerView;
use relay_core::rows::Batch;
use relay_core::time::{Now, SignedDuration, Timestamp};

use accounts::Accounts;
use breaker_watch::BreakerWatch;
pub use dice::Dice;
use endpoint::Endpoint;
use group::Group;
use rate_watch::RateWatch;
use replica::Replica;
pub use rules::Rules;
use store::Store;
use topics::Topics;

pub const REPLICAS: usize = 3;

pub struct World {
    rules: Rules,
    dice: Dice,
    now: Duration,
    topics: Topics,
    group: Group,
    store: Store,
    endpoint: Endpoint,
    replicas: Vec<Replica>,
    /// Requests that nobody waits for and that the consumer may still apply: key and version.
    loose: Vec<(String, u64)>,
    /// Batches of dead replicas that the store may still write.
    late_batches: Vec<std::sync::Arc<Batch>>,
    accounts: Accounts,
    watch: BreakerWatch,
    rate: RateWatch,
    /// Assignments so far.
    assignments: u64,
    /// What people want of the destination.
    is_paused: bool,
    resumed_at: Option<Timestamp>,
    pub steps: usize,
    /// What happened, line by line; none while nobody reads it.
    pub trace: Option<Vec<String>>,
}

impl World {
    pub fn new(rules: Rules, dice: Dice) -> Self {
        Self {
            topics: Topics::in_use(),
            group: Group::default(),
            store: Store::default(),
            endpoint: Endpoint::new(&rules),
            replicas: (0..REPLICAS).map(|_| Replica::new(&rules.knobs)).collect(),
            accounts: Accounts::new(rules.knobs.max_retries),
            watch: BreakerWatch::default(),
            rate: RateWatch::new(rules.knobs.rate_limit),
            loose: vec![],
            late_batches: vec![],
            now: Duration::ZERO,
            assignments: 0,
            is_paused: false,
            resumed_at: None,
            steps: 0,
            trace: None,
            rules,
            dice,
        }
    }

    /// Lets the rules and the dice decide what happens.
    pub fn play(&mut self) {
        let first = self.rules.weathers[0];
        self.set_weather(first);
        for _ in 0..self.rules.steps {
            self.steps += 1;
            self.now += Duration::from_millis(self.dice.below(30) as u64);
            let happening = self.rules.draw(&mut self.dice);
            self.happen(happening);
        }
    }

    pub fn breaker_openings(&self) -> u32 {
        self.watch.openings()
    }

    pub fn charged(&self) -> u32 {
        self.store.undelivered().map(|row| row.charged).sum()
    }

    /// Takes an event into an engine, and does what it asks for.
    fn step(&mut self, who: usize, event: Event) {
        let now = self.moment(who);
        let (random, ticks) = (self.dice.number(), self.dice.happens(85));
        let before = self.breaker(who);
        let owned = self.replicas.iter().map(|replica| replica.assigned.len());
        self.rate
            .pass(owned.sum(), Topics::partitions_before().len(), self.now);
        let mut actions = vec![];
        let engine = &mut self.replicas[who].engine;
        engine.step(event, now, random, &mut actions);
        if ticks {
            engine.step(Event::Tick, now, random ^ 7, &mut actions);
        }
        let after = self.breaker(who);
        let sent = carry_out::models_sent(&actions);
        self.watch
            .look(who, (before.as_ref(), after.as_ref()), &sent, self.now);
        self.accounts.see_breaker(who, after.as_ref());
        for action in actions {
            self.carry_out(who, action);
        }
    }

    fn breaker(&self, who: usize) -> Option<BreakerView> {
        self.replicas[who].engine.view(self.now).breaker
    }

    /// The moment as a replica reads it.
    fn moment(&self, who: usize) -> Now {
        let error = SignedDuration::from_secs(self.replicas[who].clock_error);
        Now {
            monotonic: self.now,
            wall: self.wall().checked_add(error).unwrap(),
        }
    }

    /// The moment as a clock that is right shows it.
    fn wall(&self) -> Timestamp {
        let began = Timestamp::new(1_795_000_000 + self.topics.outages, 0).unwrap();
        began.checked_add(self.now).unwrap()
    }

    fn say(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            let millis = self.now.as_millis();
            trace.push(format!("{:5} {millis:>8} ms  {}", self.steps, line()));
        }
    }
}
