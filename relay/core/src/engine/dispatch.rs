//! Whose turn it is: requests leave, as many at once as the limit is now ([`super::adaptive`]), at
//! most one of a key.

use std::time::Duration;

use super::breaker::State;
use super::delivery::Delivery;
use super::event::{Action, RequestId};
use super::lane::InFlight;
use super::{Engine, Flight, Mode, Step};
use crate::exchange::HttpRequest;
use crate::names::KeyHash;
use crate::request::{self, Outgoing};

/// How long a half-open breaker waits for a record that was never tried before it probes with another.
const PROBE_FETCH_WAIT: Duration = Duration::from_secs(1);

/// Parked records in memory at once, per request that may be in flight: what is due waits in the store.
const PARKED_PER_SLOT: usize = 2;

impl Engine {
    /// Whether any request may leave now.
    pub(super) fn may_send(&self) -> bool {
        self.mode == Mode::Running
            && self.paused.is_none()
            && self.went_back.is_empty()
            && self.hold_until.is_none()
            && !self.journal.is_backlogged()
    }

    /// Sends what may be sent, the routes taking turns.
    pub(super) fn dispatch(&mut self, step: &mut Step<'_>) {
        if !self.may_send() {
            return;
        }
        self.refill_rate(step.now.monotonic);
        let mut passed_over = 0;
        while passed_over < self.routes.len() && self.has_free_place() && self.rate.allows() {
            let route = self.next_route % self.routes.len();
            self.next_route = (route + 1) % self.routes.len();
            let sent = match self.routes[route].breaker.state() {
                State::Closed => self.send_next(route, step),
                State::HalfOpen {
                    since,
                    is_probing: false,
                } => self.send_probe(route, since, step),
                State::HalfOpen {
                    is_probing: true, ..
                }
                | State::Open { .. } => false,
            };
            passed_over = if sent { 0 } else { passed_over + 1 };
        }
    }

    /// Whether one more request may be in flight.
    pub(super) fn has_free_place(&self) -> bool {
        self.flights.len() < self.limiter.limit()
    }

    fn send_next(&mut self, route: usize, step: &mut Step<'_>) -> bool {
        if let Some(batching) = self.routes[route].route.batch {
            return self.send_batch(route, batching, step);
        }
        while let Some(key) = self.routes[route].ready.pop_front() {
            if let Some(delivery) = self.take_ready(key)
                && self.send(delivery, false, step)
            {
                return true;
            }
            if !self.may_send() {
                return false;
            }
        }
        false
    }

    /// Sends one probe: of a record that was never tried if there is one (fetching is resumed for it), else of another
    /// key than the last.
    fn send_probe(&mut self, route: usize, since: Duration, step: &mut Step<'_>) -> bool {
        while let Some((key, delivery)) = self.take_probe(route, since, step) {
            if self.send(delivery, true, step) {
                self.routes[route].last_probe = Some(key);
                self.routes[route].breaker.begin_probe();
                return true;
            }
            // What is put aside fills the journal, too.
            if !self.may_send() {
                return false;
            }
        }
        false
    }

    fn take_probe(
        &mut self,
        route: usize,
        since: Duration,
        step: &mut Step<'_>,
    ) -> Option<(KeyHash, Delivery)> {
        let has_waited = step.now.monotonic >= since + PROBE_FETCH_WAIT;
        let fresh = self.find_ready(route, |delivery| delivery.tally.attempts == 0);
        let key = match fresh {
            Some(key) => Some(key),
            None if has_waited => self.find_tried_probe(route, step),
            None => None,
        };
        key.and_then(|key| Some((key, self.take_ready(key)?)))
    }

    /// A probe among what was tried before, in memory or due in the store. None while it is being loaded.
    fn find_tried_probe(&mut self, route: usize, step: &mut Step<'_>) -> Option<KeyHash> {
        let last = self.routes[route].last_probe;
        let other = self.find_ready(route, |delivery| Some(delivery.id.key_hash) != last);
        if other.is_some() || self.routes[route].is_loading_probe {
            return other;
        }
        if let Some(id) = self.parked.take_for_probe(route, step.now.monotonic, last) {
            self.routes[route].is_loading_probe = true;
            step.actions.push(Action::ReadParked { ids: vec![id] });
            return None;
        }
        self.find_ready(route, |_| true)
    }

    /// When a half-open breaker stops waiting for a record that was never tried.
    pub(super) fn probe_wait_ends(since: Duration) -> Duration {
        since + PROBE_FETCH_WAIT
    }

    /// The first ready lane of a route whose delivery is as asked.
    fn find_ready(&self, route: usize, is_wanted: impl Fn(&Delivery) -> bool) -> Option<KeyHash> {
        self.routes[route].ready.iter().copied().find(|key| {
            let lane = self.lanes.get(key).filter(|lane| lane.is_ready());
            lane.and_then(|lane| lane.waiting.as_ref())
                .is_some_and(|waiting| is_wanted(&waiting.delivery))
        })
    }

    /// Whether a record that was never tried waits on a route: the probe of a half-open breaker needs no other.
    pub(super) fn has_fresh_candidate(&self, route: usize) -> bool {
        self.find_ready(route, |delivery| delivery.tally.attempts == 0)
            .is_some()
    }

    fn take_ready(&mut self, key: KeyHash) -> Option<Delivery> {
        self.take_waiting(key).map(|waiting| *waiting.delivery)
    }

    /// Sends a record alone, or puts it aside where no request can be made of it. True when a request left.
    fn send(&mut self, delivery: Delivery, is_probe: bool, step: &mut Step<'_>) -> bool {
        let route = self.route_at(delivery.place.home);
        match request::render_alone(
            route,
            &outgoing(&delivery),
            step.now.wall,
            &self.limits.user_agent,
        ) {
            Ok(http) => {
                self.take_off(vec![delivery], http, is_probe, step);
                true
            }
            Err(unmappable) => {
                self.put_aside(delivery, &unmappable, step.now);
                false
            }
        }
    }

    /// A request leaves with its deliveries.
    pub(super) fn take_off(
        &mut self,
        deliveries: Vec<Delivery>,
        http: HttpRequest,
        is_probe: bool,
        step: &mut Step<'_>,
    ) {
        for delivery in &deliveries {
            let place = delivery.place;
            let lane = self.lanes.entry(delivery.id.key_hash).or_default();
            lane.in_flight = Some(InFlight {
                version: delivery.id.version,
                committed_at: delivery.record.committed_at,
                owner: delivery.owner,
                home: place.home,
                epoch: place.epoch,
            });
            self.homes[place.home].flights += 1;
        }
        self.rate.spend();
        self.limiter.pass(self.flights.len(), step.now.monotonic);
        let request = RequestId(self.next_request);
        self.next_request += 1;
        let flight = Flight {
            route: self.route_at(deliveries[0].place.home).clone(),
            deliveries,
            attempted_at: step.now.wall,
            sent_at: step.now.monotonic,
            is_probe,
        };
        self.flights.insert(request, flight);
        step.actions.push(Action::Send { request, http });
    }

    /// Asks the store for parked records that are due, as many as may soon be sent.
    pub(super) fn load_due(&mut self, step: &mut Step<'_>) {
        if !self.may_send() {
            return;
        }
        let mut ids = vec![];
        for route in 0..self.routes.len() {
            let limit = self.parked_in_memory_max(route);
            let room = limit.saturating_sub(self.parked.in_memory());
            if room > 0 && self.routes[route].breaker.is_closed() {
                ids.extend(self.parked.take_due(route, step.now.monotonic, room));
            }
        }
        if !ids.is_empty() {
            step.actions.push(Action::ReadParked { ids });
        }
    }

    /// Enough for every request that may be in flight, and to fill a batch.
    pub(super) fn parked_in_memory_max(&self, route: usize) -> usize {
        let batch = self.routes[route].route.batch;
        let records = batch.map_or(1, |batch| batch.records_max);
        self.settings.concurrency.max(records) * PARKED_PER_SLOT
    }
}

/// A delivery as its next attempt shows it.
pub(super) fn outgoing(delivery: &Delivery) -> Outgoing<'_> {
    Outgoing {
        id: delivery.id,
        record: &delivery.record,
        stream: &delivery.stream,
        attempt: delivery.tally.attempts + 1,
    }
}
