//! The loop: one thread on which every destination's engine steps.
//!
//! What happened arrives from the thread `http`, the thread `store` and the consumers; what is to be done leaves the same
//! way. Nothing here waits for any of them, but for the commit before a partition is given up.
//!
//! - [`desk`]: one destination, its consumer and its engine
//! - [`outlook`]: how it is doing, for people
//! - [`tally`]: what became durable, for the metrics
mod desk;
mod outlook;
mod tally;

use std::sync::Arc;
use std::time::Duration;

use relay_core::engine::{Event, RequestId};
use relay_core::time::Now;
use tokio::sync::{Notify, mpsc};
use tracing::{error, info};

pub use self::desk::{Desk, DeskSettings};
use crate::chance::Chance;
use crate::clock::Clock;
use crate::http::{self, Finished};
use crate::kafka::{Counted, KafkaFailure};
use crate::keeper::{self, Kept};
use crate::metrics::Metrics;
use crate::status::{Heartbeat, Status};

/// Inputs taken in one turn.
const INPUTS_MAX: usize = 256;

/// The longest wait of a turn: consumers must be polled, and hearts beat.
const TURN_MAX: Duration = Duration::from_millis(250);

/// How often people are told, and a person's wishes looked for.
const OUTLOOK_INTERVAL: Duration = Duration::from_secs(1);

/// After a freeze the group is heard first, so that a replica that was given up sends nothing more.
const HEARING: Duration = Duration::from_millis(100);
const HEARINGS: usize = 10;

/// What arrives at the loop.
#[derive(Debug)]
pub enum Input {
    Finished(Vec<Finished>),
    /// Boxed: rarer than requests, and larger.
    Kept(Box<Kept>),
    Counted(Counted),
    /// Drain and stop.
    Stop,
}

impl From<Vec<Finished>> for Input {
    fn from(finished: Vec<Finished>) -> Self {
        Self::Finished(finished)
    }
}

impl From<Kept> for Input {
    fn from(kept: Kept) -> Self {
        Self::Kept(Box::new(kept))
    }
}

impl From<Counted> for Input {
    fn from(counted: Counted) -> Self {
        Self::Counted(counted)
    }
}

/// The edges of the loop.
pub struct Edges {
    pub inputs: mpsc::Receiver<Input>,
    pub http: mpsc::Sender<http::Message>,
    pub keeper: mpsc::Sender<keeper::Job>,
    /// Rung by the consumers.
    pub bell: Arc<Notify>,
    pub clock: Clock,
    pub status: Status,
    pub metrics: Arc<Metrics>,
}

/// The loop of all destinations.
pub struct Deliver {
    desks: Vec<Desk>,
    edges: Edges,
    chance: Chance,
    heartbeat: Heartbeat,
    /// A silence longer than this may have cost us the partitions.
    session_timeout: Duration,
}

impl Deliver {
    pub fn new(desks: Vec<Desk>, edges: Edges, session_timeout: Duration) -> Self {
        let heartbeat = edges.status.heartbeat("deliver", edges.clock.now());
        Self {
            desks,
            edges,
            chance: Chance::new(),
            heartbeat,
            session_timeout,
        }
    }

    /// Turns until every destination has been drained.
    ///
    /// # Errors
    /// [`KafkaFailure`] when a consumer can do nothing any more.
    pub async fn run(mut self) -> Result<(), KafkaFailure> {
        let mut inputs = Vec::with_capacity(INPUTS_MAX);
        let mut outlook_at = Duration::ZERO;
        let mut turned_at = self.edges.clock.now().monotonic;
        let mut has_more = true;
        loop {
            if !has_more {
                self.wait(&mut inputs).await;
            }
            let now = self.edges.clock.now();
            self.heartbeat.beat(now);
            if now.monotonic.saturating_sub(turned_at) > self.session_timeout {
                self.hear_the_group().await?;
            }
            turned_at = self.edges.clock.now().monotonic;
            while let Ok(input) = self.edges.inputs.try_recv() {
                inputs.push(input);
                if inputs.len() >= INPUTS_MAX {
                    break;
                }
            }
            for input in inputs.drain(..) {
                self.take_in(input);
            }
            has_more = false;
            for desk in &mut self.desks {
                has_more |= desk.poll(self.edges.clock.now(), &mut self.chance)?;
            }
            self.carry_out().await;
            if turned_at >= outlook_at {
                outlook_at = turned_at + OUTLOOK_INTERVAL;
                self.look_out().await;
            }
            if self.desks.iter().all(Desk::is_done) {
                break;
            }
        }
        for desk in self.desks {
            desk.close();
        }
        Ok(())
    }

    /// Waits for an input, for Kafka, or for the next timer.
    async fn wait(&mut self, inputs: &mut Vec<Input>) {
        let now = self.edges.clock.now().monotonic;
        let timer = self
            .desks
            .iter()
            .filter_map(|desk| desk.next_timer(now))
            .min();
        let wait = timer.map_or(TURN_MAX, |timer| timer.saturating_sub(now).min(TURN_MAX));
        tokio::select! {
            _ = self.edges.inputs.recv_many(inputs, INPUTS_MAX) => {}
            () = self.edges.bell.notified() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }

    /// This process stood still for longer than its session. Whoever was given its partitions may be sending already, so
    /// the group is polled before anything else happens.
    async fn hear_the_group(&mut self) -> Result<(), KafkaFailure> {
        info!("this process stood still for longer than its session: asking the group first");
        for _ in 0..HEARINGS {
            for desk in &mut self.desks {
                desk.poll(self.edges.clock.now(), &mut self.chance)?;
            }
            tokio::time::sleep(HEARING).await;
        }
        Ok(())
    }

    fn take_in(&mut self, input: Input) {
        let now = self.edges.clock.now();
        match input {
            Input::Finished(finished) => {
                for done in finished {
                    let event = Event::Answer {
                        request: RequestId(done.request_id),
                        http: done.request,
                        exchange: done.exchange,
                    };
                    self.desks[done.destination].step(event, now, &mut self.chance);
                }
            }
            Input::Kept(kept) => self.take_kept(*kept, now),
            Input::Counted(Counted {
                destination,
                partitions,
            }) => {
                let event = Event::PartitionsCounted { partitions };
                self.desks[destination].step(event, now, &mut self.chance);
            }
            Input::Stop => {
                self.edges.status.drain();
                for desk in &mut self.desks {
                    desk.step(Event::Stop, now, &mut self.chance);
                }
            }
        }
    }

    fn take_kept(&mut self, kept: Kept, now: Now) {
        match kept {
            Kept::Event { destination, event } => {
                self.desks[destination].step(event, now, &mut self.chance);
            }
            Kept::Written {
                destination,
                rows,
                took,
                ..
            } => {
                self.desks[destination].note_written(&rows, took);
            }
            Kept::Counted {
                destination,
                counts,
            } => {
                self.edges
                    .metrics
                    .undelivered(self.desks[destination].name(), counts);
            }
        }
    }

    async fn carry_out(&mut self) {
        let (mut jobs, mut tasks) = (vec![], vec![]);
        for (destination, desk) in self.desks.iter_mut().enumerate() {
            desk.step(Event::Tick, self.edges.clock.now(), &mut self.chance);
            desk.carry_out(destination, &mut jobs, &mut tasks);
        }
        // Both threads take what comes without waiting for what they do with it.
        if !jobs.is_empty() {
            let make = http::Message::Make(jobs);
            if self.edges.http.send(make).await.is_err() {
                error!("the http thread has ended");
            }
        }
        self.hand_to_keeper(tasks).await;
    }

    async fn look_out(&mut self) {
        let now = self.edges.clock.now();
        let mut tasks = vec![];
        let mut statuses = vec![];
        let mut problem = None;
        for (destination, desk) in self.desks.iter_mut().enumerate() {
            let status = desk.look_out(destination, now, &mut tasks);
            self.edges.metrics.destination(desk.name(), &status);
            self.edges
                .status
                .set_destination(desk.name(), status.clone());
            statuses.push((desk.name().clone(), status));
            problem = problem.or(desk.problem());
        }
        self.edges
            .metrics
            .kafka_lag(statuses.iter().map(|(name, status)| (&**name, status)));
        self.edges.status.set_kafka_problem(problem);
        self.hand_to_keeper(tasks).await;
    }

    async fn hand_to_keeper(&self, tasks: Vec<keeper::Job>) {
        for task in tasks {
            if self.edges.keeper.send(task).await.is_err() {
                error!("the store thread has ended");
            }
        }
    }
}
