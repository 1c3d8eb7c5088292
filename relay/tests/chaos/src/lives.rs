//! The relays' lives: when each began, how it ended, and when it stood still.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use crate::moment::Moment;
use crate::plan::SESSION;

/// A pause of a process that is so long may have cost it its partitions.
const LONG: Duration = Duration::from_secs(SESSION.as_secs() - 2);

/// How a life ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Death {
    /// kill -9.
    Killed,
    /// SIGTERM, and it ended well.
    Stopped,
    /// By itself, once it had been ready, and what it printed last.
    Fell(String),
    /// By itself, before it was ready, and what it printed last.
    NeverReady(String),
}

/// From one start of a relay to its end.
#[derive(Debug, Clone)]
pub struct Life {
    pub relay: String,
    pub number: u32,
    pub born: Moment,
    pub end: Option<(Moment, Death)>,
    pub freezes: Vec<(Moment, Moment)>,
}

impl Life {
    /// Whether it ended without a chance to write down what it knew, before `until`.
    pub fn died_suddenly(&self, until: Moment) -> bool {
        let is_sudden = |death: &Death| *death != Death::Stopped;
        self.end
            .as_ref()
            .is_some_and(|(at, death)| *at <= until && is_sudden(death))
    }

    /// Whether it stood still between the two moments for so long that its partitions may have been given away.
    pub fn was_silent(&self, from: Moment, until: Moment) -> bool {
        self.silences()
            .any(|(began, ended)| *began <= until && *ended >= from)
    }

    fn silences(&self) -> impl Iterator<Item = &(Moment, Moment)> {
        let is_long = |(began, ended): &&(Moment, Moment)| began.plus(LONG) <= *ended;
        self.freezes.iter().filter(is_long)
    }
}

/// All lives of all relays.
#[derive(Debug, Default)]
pub struct Lives(Mutex<Vec<Life>>);

impl Lives {
    /// Notes a birth and returns the number of the life, counted from 1 for each relay.
    pub fn begin(&self, relay: &str) -> u32 {
        let mut lives = self.lock();
        let before = lives.iter().filter(|life| life.relay == relay).count();
        let number = u32::try_from(before).unwrap() + 1;
        lives.push(Life {
            relay: relay.to_owned(),
            number,
            born: Moment::now(),
            end: None,
            freezes: vec![],
        });
        number
    }

    pub fn end(&self, relay: &str, death: Death) {
        self.of_the_living(relay, |life| life.end = Some((Moment::now(), death)));
    }

    pub fn note_freeze(&self, relay: &str, began: Moment) {
        self.of_the_living(relay, |life| life.freezes.push((began, Moment::now())));
    }

    pub fn all(&self) -> Vec<Life> {
        self.lock().clone()
    }

    fn of_the_living(&self, relay: &str, change: impl FnOnce(&mut Life)) {
        let mut lives = self.lock();
        let latest = lives.iter_mut().rev().find(|life| life.relay == relay);
        change(latest.expect("a relay that has begun"));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Life>> {
        self.0.lock().unwrap()
    }
}
