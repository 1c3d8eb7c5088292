//! The loop: one thread on which every destination's engine steps.
//!
//! What happened arrives from the thread `http`, the thread `store` and the consumers; what is to be done leaves the same
//! way. Nothing here waits for any of them, but for the commit before a partition is given up.
//!
//! - [`census`]: how many partitions there are, and what is not where it belongs
//! - [`desks`]: the destinations, which come, change and go
//! - [`desk`]: one destination, its consumer and its engine
//! - [`expiry`]: who is warned that records are about to expire
//! - [`outlook`]: how it is doing, for people
//! - [`tally`]: what became durable, for the metrics
mod census;
mod desk;
mod desks;
mod expiry;
mod outlook;
mod tally;

use std::sync::Arc;
use std::time::Duration;

use relay_core::engine::{Event, RequestId};
use relay_core::time::Now;
use tokio::sync::{Notify, mpsc};
use tracing::{error, info, warn};

use self::desk::Errands;
pub use self::desk::{Desk, DeskSettings};
pub use self::desks::Change;
use self::desks::Desks;
use crate::chance::Chance;
use crate::clock::Clock;
use crate::http::{self, Finished};
use crate::kafka::{Counted, Found, KafkaFailure, Policies, Question};
use crate::keeper::{self, Kept};
use crate::lease::Lease;
use crate::metrics::Metrics;
use crate::status::{Heartbeat, Status};

/// Inputs taken in one turn.
const INPUTS_MAX: usize = 256;

/// The longest wait of a turn: consumers must be polled, and hearts beat.
const TURN_MAX: Duration = Duration::from_millis(250);

/// How often people are told, and a person's wishes looked for.
const OUTLOOK_INTERVAL: Duration = Duration::from_secs(1);

/// What arrives at the loop.
#[derive(Debug)]
pub enum Input {
    Finished(Vec<Finished>),
    /// Boxed: rarer than requests, and larger.
    Kept(Box<Kept>),
    Counted(Counted),
    /// Another configuration holds from now on.
    Configured(Box<Change>),
    Found(Found),
    Policies(Policies),
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

impl From<Policies> for Input {
    fn from(policies: Policies) -> Self {
        Self::Policies(policies)
    }
}

impl From<Found> for Input {
    fn from(found: Found) -> Self {
        Self::Found(found)
    }
}

/// The edges of the loop.
pub struct Edges {
    pub inputs: mpsc::Receiver<Input>,
    pub http: mpsc::Sender<http::Message>,
    pub keeper: mpsc::Sender<keeper::Job>,
    /// Where partitions begin.
    pub bounds: std::sync::mpsc::Sender<Question>,
    /// Rung by the consumers.
    pub bell: Arc<Notify>,
    pub clock: Clock,
    pub lease: Lease,
    pub status: Status,
    pub metrics: Arc<Metrics>,
}

/// The loop of all destinations.
pub struct Deliver {
    desks: Desks,
    edges: Edges,
    chance: Chance,
    heartbeat: Heartbeat,
    is_stopping: bool,
}

impl Deliver {
    /// A loop without destinations: they come with the first configuration.
    pub fn new(edges: Edges) -> Self {
        let heartbeat = edges.status.heartbeat("deliver", edges.clock.now());
        Self {
            desks: Desks::default(),
            edges,
            chance: Chance::new(),
            heartbeat,
            is_stopping: false,
        }
    }

    /// Turns until every destination has been drained.
    ///
    /// # Errors
    /// [`KafkaFailure`] when a consumer can do nothing any more.
    pub async fn run(mut self) -> Result<(), KafkaFailure> {
        let mut inputs = Vec::with_capacity(INPUTS_MAX);
        let mut outlook_at = Duration::ZERO;
        let mut has_more = true;
        loop {
            if !has_more {
                self.wait(&mut inputs).await;
            }
            let now = self.edges.clock.now();
            self.heartbeat.beat(now);
            if self.edges.lease.has_lapsed() {
                self.begin_anew()?;
            }
            while let Ok(input) = self.edges.inputs.try_recv() {
                inputs.push(input);
                if inputs.len() >= INPUTS_MAX {
                    break;
                }
            }
            for input in inputs.drain(..) {
                self.take_in(input)?;
            }
            has_more = self.poll()?;
            self.carry_out().await;
            self.close_done().await;
            if now.monotonic >= outlook_at {
                outlook_at = now.monotonic + OUTLOOK_INTERVAL;
                self.look_out().await;
            }
            if self.is_stopping && self.desks.is_empty() {
                break;
            }
        }
        self.desks.join();
        Ok(())
    }

    /// Waits for an input, for Kafka, or for the next timer.
    async fn wait(&mut self, inputs: &mut Vec<Input>) {
        let now = self.edges.clock.now().monotonic;
        let timer = self.desks.next_timer(now);
        let wait = timer.map_or(TURN_MAX, |timer| timer.saturating_sub(now).min(TURN_MAX));
        tokio::select! {
            _ = self.edges.inputs.recv_many(inputs, INPUTS_MAX) => {}
            () = self.edges.bell.notified() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }

    /// This process stood still until its session may have ended. Whoever was given its partitions may be sending already, and
    /// librdkafka may be the last to hear of it: in the middle of a join it is told by the end of its next one.
    fn begin_anew(&mut self) -> Result<(), KafkaFailure> {
        warn!(
            "this process stood still until its session may have ended: it joins its groups anew"
        );
        let now = self.edges.clock.now();
        self.desks.begin_anew(now, &mut self.chance)?;
        self.edges.lease.begin_term();
        Ok(())
    }

    fn poll(&mut self) -> Result<bool, KafkaFailure> {
        let clock = self.edges.clock;
        self.desks.poll(|| clock.now(), &mut self.chance)
    }

    fn take_in(&mut self, input: Input) -> Result<(), KafkaFailure> {
        let now = self.edges.clock.now();
        match input {
            Input::Finished(finished) => {
                for done in finished {
                    self.take_finished(done, now)?;
                }
            }
            Input::Kept(kept) => self.take_kept(*kept, now),
            Input::Counted(Counted {
                destination,
                topics,
            }) => {
                if let Some(desk) = self.desks.find(destination) {
                    desk.note_counts(&topics);
                }
                let event = Event::PartitionsCounted { topics };
                self.desks.step(destination, event, now, &mut self.chance);
            }
            Input::Configured(change) => {
                self.desks.change(*change, now, &mut self.chance)?;
                if self.is_stopping {
                    self.desks.leave(now, &mut self.chance);
                }
            }
            Input::Found(Found { question, bounds }) => {
                let event = Event::Bounds {
                    partition: question.partition,
                    bounds,
                };
                self.desks
                    .step(question.destination, event, now, &mut self.chance);
            }
            Input::Policies(Policies {
                destination,
                topics,
            }) => {
                let compacted = topics.iter().filter(|(_, policy)| policy.is_compacted);
                let topics_refused = compacted.map(|(topic, _)| topic.clone()).collect();
                let event = Event::Refused {
                    topics: topics_refused,
                };
                self.desks.step(destination, event, now, &mut self.chance);
                if let Some(desk) = self.desks.find(destination) {
                    desk.note_policies(topics);
                }
            }
            Input::Stop => {
                self.edges.status.drain();
                self.is_stopping = true;
                self.desks.leave(now, &mut self.chance);
            }
        }
        Ok(())
    }

    fn take_finished(&mut self, done: Finished, now: Now) -> Result<(), KafkaFailure> {
        let request = RequestId(done.request_id);
        let http = done.request;
        let answer = |exchange| Event::Answer {
            request,
            http,
            exchange,
        };
        let event = done.exchange.map_or(Event::Unsent { request }, answer);
        // The thread `http` saw it first.
        if matches!(event, Event::Unsent { .. }) && done.term == self.edges.lease.term() {
            self.begin_anew()?;
        }
        self.desks
            .step(done.destination, event, now, &mut self.chance);
        Ok(())
    }

    fn take_kept(&mut self, kept: Kept, now: Now) {
        match kept {
            Kept::Event { destination, event } => {
                self.desks.step(destination, event, now, &mut self.chance);
            }
            Kept::Written {
                destination,
                rows,
                took,
                ..
            } => {
                if let Some(desk) = self.desks.find(destination) {
                    desk.note_written(&rows, took);
                }
            }
            Kept::Counted {
                destination,
                counts,
            } => {
                if let Some(desk) = self.desks.find(destination) {
                    self.edges.metrics.undelivered(desk.name(), counts);
                }
            }
        }
    }

    async fn carry_out(&mut self) {
        let mut errands = Errands::default();
        let clock = self.edges.clock;
        let term = self.edges.lease.term();
        self.desks
            .carry_out(term, || clock.now(), &mut self.chance, &mut errands);
        let Errands {
            jobs,
            tasks,
            questions,
        } = errands;
        for question in questions {
            if self.edges.bounds.send(question).is_err() {
                error!("the bounds thread has ended");
            }
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

    /// Nothing more is told of a destination that has gone, nor any connection kept to it.
    async fn close_done(&mut self) {
        for (destination, name) in self.desks.close_done() {
            if self.is_stopping {
                continue;
            }
            info!(destination = &*name, "drained, and served no more");
            if self.desks.iter().all(|desk| *desk.name() != name) {
                self.edges.metrics.forget_destination(&name);
            }
            let forget = http::Message::Forget { destination };
            if self.edges.http.send(forget).await.is_err() {
                error!("the http thread has ended");
            }
        }
    }

    async fn look_out(&mut self) {
        let now = self.edges.clock.now();
        let mut tasks = vec![];
        let mut statuses = vec![];
        let mut problem = None;
        for (destination, desk) in self.desks.staying() {
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
