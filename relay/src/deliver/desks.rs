//! The destinations at the loop: they come, change and go.
//!
//! One that goes drains as if the process ended. One that comes back meanwhile waits until its predecessor is closed: two
//! members of one name in one group would fence each other.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use relay_core::engine::Event;
use relay_core::time::Now;
use tracing::{info, warn};

use super::desk::{Desk, Errands};
use crate::chance::Chance;
use crate::current::Served;
use crate::kafka::KafkaFailure;
use crate::lease::Term;

/// What becomes of the destinations under another configuration. Those that it does not name leave.
pub struct Change {
    pub come: Vec<(usize, Desk)>,
    pub stay: Vec<Served>,
    /// The share of each of the memory for records.
    pub buffer_bytes_max: usize,
}

impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Change").finish_non_exhaustive()
    }
}

/// The destinations of this replica, by number.
#[derive(Default)]
pub struct Desks {
    present: BTreeMap<usize, Desk>,
    /// Consumers that take their leave, on threads of their own: the brokers may take their time.
    closing: Vec<(Arc<str>, JoinHandle<()>)>,
}

impl Desks {
    pub fn iter(&self) -> impl Iterator<Item = &Desk> {
        self.present.values()
    }

    /// A destination that has not gone.
    pub fn find(&mut self, number: usize) -> Option<&mut Desk> {
        self.present.get_mut(&number)
    }

    /// Those whose word counts.
    pub fn staying(&mut self) -> impl Iterator<Item = (usize, &mut Desk)> {
        let staying = self.present.iter_mut();
        staying
            .filter(|(_, desk)| !desk.is_leaving())
            .map(|(number, desk)| (*number, desk))
    }

    /// Tells one destination what happened; one that has gone has nothing left that could change by it.
    pub fn step(&mut self, number: usize, event: Event, now: Now, chance: &mut Chance) {
        if let Some(desk) = self.present.get_mut(&number) {
            desk.step(event, now, chance);
        }
    }

    /// Takes another configuration in.
    ///
    /// # Errors
    /// When a consumer can do nothing any more.
    pub fn change(
        &mut self,
        next: Change,
        now: Now,
        chance: &mut Chance,
    ) -> Result<(), KafkaFailure> {
        let stays = |number: &usize| next.stay.iter().find(|served| served.number == *number);
        for (number, desk) in &mut self.present {
            match stays(number) {
                Some(served) => {
                    desk.configure(&served.settings, next.buffer_bytes_max, now, chance)?;
                }
                None if !desk.is_leaving() => {
                    info!(destination = &**desk.name(), "served no more: draining");
                    desk.leave(now, chance);
                }
                None => {}
            }
        }
        self.present.extend(next.come);
        Ok(())
    }

    /// All of them leave.
    pub fn leave(&mut self, now: Now, chance: &mut Chance) {
        for desk in self.present.values_mut() {
            desk.leave(now, chance);
        }
    }

    /// Takes in what came from Kafka. True when more may wait.
    ///
    /// # Errors
    /// When a consumer can do nothing any more.
    pub fn poll(
        &mut self,
        now: impl Fn() -> Now,
        chance: &mut Chance,
    ) -> Result<bool, KafkaFailure> {
        let leaving = self.leaving();
        let mut has_more = false;
        for desk in self.present.values_mut() {
            if desk.is_leaving() || !leaving.contains(desk.name()) {
                has_more |= desk.poll(now(), chance)?;
            }
        }
        Ok(has_more)
    }

    /// When one of them wants to do something next. Whoever waits for its name is polled often enough.
    pub fn next_timer(&self, now: Duration) -> Option<Duration> {
        let leaving = self.leaving();
        let timer = |desk: &Desk| desk.next_timer(now, !leaving.contains(desk.name()));
        self.present.values().filter_map(timer).min()
    }

    /// The names that are not free yet.
    fn leaving(&self) -> Vec<Arc<str>> {
        let draining = self.present.values().filter(|desk| desk.is_leaving());
        let closing = self.closing.iter().map(|(name, _)| name.clone());
        draining
            .map(|desk| desk.name().clone())
            .chain(closing)
            .collect()
    }

    /// This process stood still until its session may have ended: everything is given up, and all join their groups anew.
    ///
    /// # Errors
    /// [`KafkaFailure::Creation`] when librdkafka refuses the configuration.
    pub fn begin_anew(&mut self, now: Now, chance: &mut Chance) -> Result<(), KafkaFailure> {
        let mut former = vec![];
        for desk in self.present.values_mut() {
            let consumer = desk.begin_anew(now, chance)?;
            former.extend(consumer.map(|consumer| (desk.name().clone(), consumer)));
        }
        for (name, consumer) in former {
            self.close_aside(name, move || consumer.close());
        }
        Ok(())
    }

    /// Does what the engines have asked for, or hands it on.
    pub fn carry_out(
        &mut self,
        term: Term,
        now: impl Fn() -> Now,
        chance: &mut Chance,
        errands: &mut Errands,
    ) {
        for (number, desk) in &mut self.present {
            desk.step(Event::Tick, now(), chance);
            desk.carry_out(*number, term, errands);
        }
    }

    /// Closes those that are done, and tells which.
    pub fn close_done(&mut self) -> Vec<(usize, Arc<str>)> {
        self.closing.retain(|(_, thread)| !thread.is_finished());
        let is_done = |(number, desk): (&usize, &Desk)| desk.is_done().then_some(*number);
        let done: Vec<_> = self.present.iter().filter_map(is_done).collect();
        let mut closed = vec![];
        for number in done {
            let Some(desk) = self.present.remove(&number) else {
                continue;
            };
            let name = desk.name().clone();
            closed.push((number, name.clone()));
            self.close_aside(name, move || desk.close());
        }
        closed
    }

    /// The name is not free before that is done.
    fn close_aside(&mut self, name: Arc<str>, close: impl FnOnce() + Send + 'static) {
        let thread = std::thread::Builder::new().name("closing".into());
        match thread.spawn(close) {
            Ok(thread) => self.closing.push((name, thread)),
            // It was dropped with the thread that is not, which closes it as well.
            Err(error) => warn!(%error, "a consumer was closed at the loop"),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.present.is_empty()
    }

    /// Waits until all consumers are closed.
    pub fn join(self) {
        for (name, thread) in self.closing {
            if thread.join().is_err() {
                warn!(destination = &*name, "the closing of a consumer panicked");
            }
        }
    }
}
