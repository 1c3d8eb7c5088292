//! One destination at the loop: its consumer, its engine, and what the engine has asked for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use relay_core::engine::journal::FlushLimits;
use relay_core::engine::{Action, Engine, Event, Limits};
use relay_core::names::Partition;
use relay_core::rows::Batch;
use relay_core::settings::Destination;
use relay_core::time::Now;
use tokio::sync::Notify;

use super::census::Census;
use super::expiry::Expiry;
use super::outlook::Outlook;
use super::tally::Tally;
use crate::chance::Chance;
use crate::config::Kafka;
use crate::current::Current;
use crate::http::Job;
use crate::kafka::{Arrival, Consumer, KafkaFailure, Policy, Question};
use crate::keeper::{self, Task};
use crate::lease::Term;
use crate::metrics::Metrics;
use crate::status::DestinationStatus;

/// How often a subscription that failed is tried again.
const SUBSCRIBE_INTERVAL: Duration = Duration::from_secs(2);

/// One destination in this replica.
pub struct Desk {
    kafka: Kafka,
    settings: Arc<Destination>,
    consumer: Consumer,
    engine: Engine,
    actions: Vec<Action>,
    arrivals: Vec<Arrival>,
    subscribe_at: Duration,
    outlook: Outlook,
    tally: Tally,
    expiry: Expiry,
    census: Census,
    is_leaving: bool,
    is_done: bool,
}

/// What a desk is made of.
pub struct DeskSettings<'a> {
    pub current: &'a Current,
    pub destination: Arc<Destination>,
    pub bell: &'a Arc<Notify>,
    pub metrics: &'a Arc<Metrics>,
}

/// What engines have asked for, to be handed on.
#[derive(Default)]
pub struct Errands {
    pub jobs: Vec<Job>,
    pub tasks: Vec<keeper::Job>,
    pub questions: Vec<Question>,
}

impl Desk {
    /// A destination that has not joined its group yet.
    ///
    /// # Errors
    /// [`KafkaFailure::Creation`] when librdkafka refuses the configuration.
    pub fn new(settings: DeskSettings<'_>) -> Result<Self, KafkaFailure> {
        let DeskSettings {
            current,
            destination,
            bell,
            metrics,
        } = settings;
        let config = &current.config;
        let consumer = Consumer::new(&config.kafka, &destination, &config.relay.name, bell)?;
        Ok(Self {
            engine: Engine::new(destination.clone(), limits(current)),
            kafka: config.kafka.clone(),
            consumer,
            actions: vec![],
            arrivals: vec![],
            subscribe_at: Duration::ZERO,
            outlook: Outlook::new(
                config.relay.name.clone(),
                destination.clone(),
                metrics.clone(),
            ),
            tally: Tally::new(destination.name.clone(), metrics.clone()),
            settings: destination,
            is_leaving: false,
            expiry: Expiry::default(),
            census: Census::default(),
            is_done: false,
        })
    }

    /// Takes other settings in.
    ///
    /// # Errors
    /// When the consumer can do nothing any more.
    pub fn configure(
        &mut self,
        settings: &Arc<Destination>,
        buffer_bytes_max: usize,
        now: Now,
        chance: &mut Chance,
    ) -> Result<(), KafkaFailure> {
        self.consumer.configure(&self.kafka, settings)?;
        self.outlook.configure(settings.clone());
        self.settings = settings.clone();
        let settings = settings.clone();
        let event = Event::Configured {
            settings,
            buffer_bytes_max,
        };
        self.step(event, now, chance);
        Ok(())
    }

    /// This process stood still until its session may have ended: gives up what others may have by now, and joins the group anew.
    /// Returns the member that is to leave the group before.
    ///
    /// # Errors
    /// [`KafkaFailure::Creation`] when librdkafka refuses the configuration.
    pub fn begin_anew(
        &mut self,
        now: Now,
        chance: &mut Chance,
    ) -> Result<Option<Consumer>, KafkaFailure> {
        self.step(Event::PollDeadlinePassed, now, chance);
        if self.is_leaving || !self.consumer.is_subscribed() {
            return Ok(None);
        }
        let anew = self.consumer.anew(&self.kafka, &self.settings)?;
        self.subscribe_at = now.monotonic;
        Ok(Some(std::mem::replace(&mut self.consumer, anew)))
    }

    /// Drains, and is done then.
    pub fn leave(&mut self, now: Now, chance: &mut Chance) {
        if !self.is_leaving {
            self.is_leaving = true;
            self.step(Event::Stop, now, chance);
        }
    }

    /// Whether it is on its way out: what it says of its destination is not worth telling any more.
    pub fn is_leaving(&self) -> bool {
        self.is_leaving
    }

    pub fn name(&self) -> &Arc<str> {
        &self.settings.name
    }

    pub fn is_done(&self) -> bool {
        self.is_done
    }

    /// Takes an event in.
    pub fn step(&mut self, event: Event, now: Now, chance: &mut Chance) {
        self.engine
            .step(event, now, chance.draw(), &mut self.actions);
    }

    /// Takes in what came from Kafka. True when more may wait.
    ///
    /// # Errors
    /// When the consumer can do nothing any more.
    pub fn poll(&mut self, now: Now, chance: &mut Chance) -> Result<bool, KafkaFailure> {
        if self.is_done {
            return Ok(false);
        }
        if !self.consumer.is_subscribed() && now.monotonic >= self.subscribe_at {
            self.consumer.subscribe()?;
            self.subscribe_at = now.monotonic + SUBSCRIBE_INTERVAL;
        }
        let mut arrivals = std::mem::take(&mut self.arrivals);
        let has_more = self.consumer.poll(&mut arrivals)?;
        for arrival in arrivals.drain(..) {
            match arrival {
                Arrival::Record(record) => self.step(Event::Record(record), now, chance),
                Arrival::Assigned(partitions) => {
                    for partition in partitions {
                        self.step(Event::Assigned { partition }, now, chance);
                    }
                }
                Arrival::Revoked(partitions) => {
                    self.step(Event::Revoked { partitions }, now, chance);
                }
                Arrival::Lost(partitions) => self.step(Event::Lost { partitions }, now, chance),
                Arrival::DeadlinePassed => self.step(Event::PollDeadlinePassed, now, chance),
            }
        }
        self.arrivals = arrivals;
        Ok(has_more)
    }

    /// `may_join`: its name is free.
    pub fn next_timer(&self, now: Duration, may_join: bool) -> Option<Duration> {
        let wants_to_join = may_join && !self.consumer.is_subscribed();
        let subscribe = wants_to_join.then_some(self.subscribe_at);
        self.engine
            .next_timer(now)
            .into_iter()
            .chain(subscribe)
            .min()
    }

    /// Does what the engine has asked for, or hands it on.
    pub fn carry_out(&mut self, destination: usize, term: Term, errands: &mut Errands) {
        let mut commits = BTreeMap::new();
        let (mut pauses, mut resumes) = (vec![], vec![]);
        for action in self.actions.drain(..) {
            let task = match action {
                Action::FindBounds { partition } => {
                    errands.questions.push(Question {
                        destination,
                        group: self.consumer.group().to_owned(),
                        partition,
                    });
                    continue;
                }
                Action::LoadPartition { partition, stream } => {
                    Task::LoadPartition { partition, stream }
                }
                Action::ReadLedger {
                    partition,
                    stream,
                    keys,
                } => Task::ReadLedger {
                    partition,
                    stream,
                    keys,
                },
                Action::ReadParked { ids } => Task::ReadParked { ids },
                Action::Flush { batch, rows } => Task::Keep { batch, rows },
                Action::Send { request, http } => {
                    errands.jobs.push(Job {
                        destination,
                        request_id: request.0,
                        request: http,
                        term,
                    });
                    continue;
                }
                Action::Commit { partition, offset } => {
                    commits.insert(partition, offset);
                    continue;
                }
                Action::Pause { partition } => {
                    pauses.push(partition);
                    continue;
                }
                Action::Resume { partition } => {
                    resumes.push(partition);
                    continue;
                }
                Action::Release { partition } => {
                    release(&mut self.consumer, &partition, &mut commits);
                    continue;
                }
                Action::Stopped => {
                    self.is_done = true;
                    continue;
                }
            };
            errands.tasks.push(keeper::Job { destination, task });
        }
        let (prefix, name) = (&self.kafka.topic_prefix, &self.settings.name);
        for task in self.census.take_news(prefix, name) {
            errands.tasks.push(keeper::Job { destination, task });
        }
        self.consumer.commit(&commits);
        if !pauses.is_empty() {
            self.consumer.pause(&pauses);
        }
        if !resumes.is_empty() {
            self.consumer.resume(&resumes);
        }
    }

    /// How it is doing; what the store should hear of it is added to the tasks.
    pub fn look_out(
        &mut self,
        destination: usize,
        now: Now,
        tasks: &mut Vec<keeper::Job>,
    ) -> DestinationStatus {
        let view = self.engine.view(now.monotonic);
        let expiring = self.expiry.look(&self.settings.name, &self.engine, now);
        let lag = self.consumer.lag();
        let status = self.outlook.status(&view, lag, expiring, now);
        let mut ask = |task| tasks.push(keeper::Job { destination, task });
        let partitions = self.engine.owned_partitions();
        self.consumer.commit_again(&partitions, now.monotonic);
        if !self.is_done {
            ask(Task::FindWishes {
                destination: self.settings.name.clone(),
                partitions,
                ends: self.engine.ends_of_topics(now.monotonic),
            });
        }
        self.census
            .tell_of(&self.settings.name, &view.misplaced, now.monotonic);
        if self.outlook.is_report_due(now.monotonic) {
            ask(Task::Report {
                row: self.outlook.row(&status),
                mappings: self.tally.take_mappings(now.wall),
                seen_at: now.wall,
            });
        }
        status
    }

    /// How many partitions the topics have.
    pub fn note_counts(&mut self, topics: &[(Arc<str>, i32)]) {
        self.census.note(topics);
    }

    /// How long the topics keep their records.
    pub fn note_policies(&mut self, topics: BTreeMap<Arc<str>, Policy>) {
        self.expiry.note(topics);
    }

    /// What is wrong with Kafka, if anything is.
    pub fn problem(&self) -> Option<String> {
        self.consumer.problem()
    }

    /// A batch became durable.
    pub fn note_written(&mut self, rows: &Batch, took: Duration) {
        self.tally.count(rows, took);
    }

    pub fn close(self) {
        self.consumer.close();
    }
}

/// What is committed before a partition is given up must have arrived before its next owner asks.
fn release(consumer: &mut Consumer, partition: &Partition, commits: &mut BTreeMap<Partition, i64>) {
    if let Some(offset) = commits.remove(partition) {
        consumer.commit_now(&BTreeMap::from([(partition.clone(), offset)]));
    }
    consumer.release(partition);
}

fn limits(current: &Current) -> Limits {
    let config = &current.config;
    Limits {
        flush: FlushLimits {
            rows: config.log.flush_rows,
            interval: config.log.flush_interval,
        },
        commit_interval: config.kafka.commit_interval,
        buffer_bytes_max: current.buffer_bytes_max(),
        user_agent: concat!("replicates-relay/", env!("CARGO_PKG_VERSION")).into(),
        topic_prefix: config.kafka.topic_prefix.clone(),
    }
}
