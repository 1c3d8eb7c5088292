//! The engine's tables: the partitions it has met, and the routes of their models.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::Engine;
use super::breaker::Breaker;
use super::delivery::Place;
use super::event::{Action, KafkaRecord};
use super::gaps::Gaps;
use super::moving::Census;
use super::offsets::Offsets;
use crate::names::{Coordinates, KeyHash, Partition, Stream};
use crate::settings::Route;

/// A partition. It keeps its place in the table after it was given up.
#[derive(Debug)]
pub(super) struct Home {
    pub partition: Partition,
    pub stream: Arc<Stream>,
    pub route: usize,
    /// Counts assignments, so that what belongs to an earlier one is recognised.
    pub epoch: u32,
    pub phase: Phase,
    pub offsets: Offsets,
    pub gaps: Gaps,
    /// The highest acknowledged version: a record above it cannot be stale.
    pub watermark: u64,
    pub census: Census,
    /// Its topic must not be read.
    pub is_refused: bool,
    /// What Kafka was told last.
    pub is_paused: bool,
    /// Requests in flight of this assignment.
    pub flights: u32,
    /// The assignment for which the store is being asked: its answer may come in a later one, and is of no use there.
    pub loading_for: Option<u32>,
    pub lookups: Lookups,
}

/// Keys whose ledger entry must be read before they may be sent.
#[derive(Debug, Default)]
pub(super) struct Lookups {
    pub waiting: Vec<KeyHash>,
    /// The assignment in which the keys were asked for that are not answered yet.
    pub asked_in: Option<u32>,
}

/// Whose a partition is.
#[derive(Debug)]
pub(super) enum Phase {
    /// Not ours.
    Away,
    /// Ours, and the store is asked what it knows; records that come early wait.
    Loading {
        early: Vec<KafkaRecord>,
    },
    Owned,
    /// Wanted back: what is in flight ends, then it is released.
    Draining,
}

/// The route of a model.
#[derive(Debug)]
pub(super) struct RouteState {
    pub model: Arc<str>,
    pub route: Arc<Route>,
    pub breaker: Breaker,
    /// Keys whose lane may be ready, in order. What is not ready any more is passed over.
    pub ready: VecDeque<KeyHash>,
    /// The key of the last probe: not probed twice while another waits.
    pub last_probe: Option<KeyHash>,
    /// When a batch leaves that is not full.
    pub gathers_until: Option<Duration>,
    /// A parked record is being read from the store to be the probe.
    pub is_loading_probe: bool,
    /// Why the breaker opened, for people.
    pub last_failure: Option<String>,
}

impl Home {
    pub fn is_owned(&self) -> bool {
        matches!(self.phase, Phase::Owned)
    }

    /// Where in Kafka a record was read.
    pub fn coordinates(&self, place: Place) -> Coordinates {
        Coordinates {
            topic: self.partition.topic.clone(),
            partition: place.partition,
            offset: place.offset,
        }
    }

    /// The partition is not ours any more.
    pub fn leave(&mut self) {
        self.phase = Phase::Away;
        self.epoch += 1;
        self.offsets = Offsets::default();
        self.gaps.leave();
        self.lookups.waiting.clear();
        self.flights = 0;
        self.is_paused = true;
    }

    /// Asks the store what it knows of the partition. Only one question is open at a time.
    pub fn load(&mut self, actions: &mut Vec<Action>) {
        if self.loading_for.is_none() {
            self.loading_for = Some(self.epoch);
            actions.push(Action::LoadPartition {
                partition: self.partition.clone(),
                stream: self.stream.clone(),
            });
        }
    }
}

impl Engine {
    /// The place of a partition in the table. None when its topic is not one of this destination.
    pub(super) fn home_or_insert(&mut self, partition: &Partition) -> Option<usize> {
        if let Some(home) = self.home_of.get(partition) {
            return Some(*home);
        }
        let stream = Stream::of_topic(
            &partition.topic,
            &self.limits.topic_prefix,
            &self.settings.name,
        )?;
        let route = self.route_or_insert(&stream.model);
        let home = self.homes.len();
        self.homes.push(Home {
            partition: partition.clone(),
            stream: Arc::new(stream),
            route,
            epoch: 0,
            phase: Phase::Away,
            offsets: Offsets::default(),
            gaps: Gaps::default(),
            watermark: 0,
            census: self.census_of(&partition.topic),
            is_refused: self.refused_topics.contains(&partition.topic),
            is_paused: true,
            flights: 0,
            loading_for: None,
            lookups: Lookups::default(),
        });
        self.home_of.insert(partition.clone(), home);
        Some(home)
    }

    pub(super) fn on_refused(&mut self, topics: &[Arc<str>]) {
        for home in &mut self.homes {
            home.is_refused = topics.contains(&home.partition.topic);
        }
        let words = |topic: &Arc<str>| {
            format!(
                "{topic} is compacted, so Kafka could keep the older of two versions: set cleanup.policy=delete"
            )
        };
        self.refused_topics = topics.to_vec();
        self.refused = topics.first().map(words).map(Into::into);
    }

    /// What holds for the records of a partition.
    pub(super) fn route_at(&self, home: usize) -> &Arc<Route> {
        &self.routes[self.homes[home].route].route
    }

    fn route_or_insert(&mut self, model: &Arc<str>) -> usize {
        if let Some(route) = self.routes.iter().position(|route| route.model == *model) {
            return route;
        }
        let route = self.settings.route_of(model);
        self.routes.push(RouteState {
            model: model.clone(),
            breaker: Breaker::new(route.breaker, self.settings.breaker_open),
            route: Arc::new(route.clone()),
            ready: VecDeque::new(),
            last_probe: None,
            gathers_until: None,
            is_loading_probe: false,
            last_failure: None,
        });
        self.routes.len() - 1
    }
}
