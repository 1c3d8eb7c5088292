//! An answer came: it is judged, logged, and its deliveries end, wait or are parked.

use std::sync::Arc;
use std::time::Duration;

use super::decision::{self, Circumstances, Decision, Fault};
use super::delivery::{Delivery, Failure, Owner};
use super::ending::{Acknowledged, LogLine};
use super::event::RequestId;
use super::lane::{Turn, Waiting};
use super::ownership::parked;
use super::page::{Page, outcome_of, pages, sign_of};
use super::{Engine, Flight, Step, load};
use crate::engine::breaker::{Sign, State};
use crate::exchange::{ErrorClass, Exchange, HttpRequest};
use crate::names::KeyHash;
use crate::rows::{ExchangeRow, ParkedReason, ParkedState};
use crate::time::{Now, Timestamp};
use crate::verdict::{self, Class, Question, Shape, Verdict};

impl Engine {
    pub(super) fn on_answer(
        &mut self,
        request: RequestId,
        http: &HttpRequest,
        exchange: &Exchange,
        step: &mut Step<'_>,
    ) {
        let in_flight = self.flights.len();
        let Some(flight) = self.flights.remove(&request) else {
            return;
        };
        self.limiter.pass(in_flight, step.now.monotonic);
        let Flight {
            route,
            deliveries,
            attempted_at,
            sent_at,
            is_probe,
        } = flight;
        let questions: Vec<_> = deliveries
            .iter()
            .map(|delivery| Question {
                id: delivery.id,
                operation: delivery.record.operation,
                method: http.method,
                names_key: route.url.names_key(),
            })
            .collect();
        let shape = match http.batch_id {
            Some(_) => Shape::Batch,
            None => Shape::Single,
        };
        let verdicts = verdict::judge(exchange, &questions, shape, &route.classify);
        let pages = pages(&route, &deliveries, verdicts, http, exchange);
        let attempt = Attempt {
            batch_id: http.batch_id.clone(),
            attempted_at,
            sent_at,
            latency: load::latency(exchange),
            is_probe,
            deliveries: deliveries.len(),
            retry_after: verdict::retry_after(
                exchange,
                step.now.wall,
                self.settings.retry_after_max,
            ),
            random: step.chance.next(),
        };
        self.land(&deliveries, &pages, &attempt, step.now);
        for (delivery, page) in deliveries.into_iter().zip(pages) {
            self.settle(delivery, page, &attempt, step);
        }
    }

    /// The request is over: its keys are free again, and what it says of the endpoint is noted.
    fn land(&mut self, deliveries: &[Delivery], pages: &[Page], attempt: &Attempt, now: Now) {
        for delivery in deliveries {
            if let Some(lane) = self.lanes.get_mut(&delivery.id.key_hash) {
                lane.in_flight = None;
            }
            if !self.is_orphan(delivery) {
                self.homes[delivery.place.home].flights -= 1;
            }
        }
        let verdicts = pages.iter().map(|page| &page.verdict);
        if let Some(worst) = verdicts.max_by_key(|verdict| sign_of(verdict)) {
            self.tell_limiter(deliveries, worst, attempt, now.monotonic);
            self.tell_breaker(deliveries, worst, attempt.is_probe, now);
        }
        let is_endpoints =
            |page: &Page| matches!(page.verdict.class, Class::Endpoint | Class::Suspect);
        if let Some(wait) = attempt.retry_after
            && pages.iter().any(is_endpoints)
        {
            let until = now.monotonic.saturating_add(wait);
            self.hold_until = self.hold_until.max(Some(until));
        }
    }

    fn settle(
        &mut self,
        mut delivery: Delivery,
        page: Page,
        attempt: &Attempt,
        step: &mut Step<'_>,
    ) {
        let key = delivery.id.key_hash;
        let home = delivery.place.home;
        let verdict = page.verdict;
        self.log_attempt(&delivery, &verdict, page.row, attempt, step);
        let waiting = self
            .lanes
            .get_mut(&key)
            .and_then(|lane| lane.waiting.take());
        let fault = match verdict.class {
            Class::Delivered => {
                self.acknowledge(&delivery, Acknowledged::AsSent, step.now);
                return self.go_on(key, waiting, step);
            }
            Class::Stale { version } => {
                let newer = version.filter(|version| *version > delivery.id.version);
                self.accept_staleness(&delivery, newer, step);
                return self.go_on(key, waiting, step);
            }
            Class::Reject => None,
            Class::Retry => Some(Fault::Record),
            Class::Suspect => Some(Fault::Suspect),
            Class::Endpoint => Some(Fault::Endpoint),
            Class::Divide(portion) => Some(Fault::Shared {
                at_most: portion.of(attempt.deliveries),
            }),
        };
        if self.is_orphan(&delivery) {
            // Its next owner has the record: from Kafka, or from the store.
            self.forget(&delivery);
            return self.go_on(key, waiting, step);
        }
        delivery.first_failed_at.get_or_insert(step.now.wall);
        delivery.last_failure = Some(Failure {
            at: step.now.wall,
            status: verdict.status,
            class: verdict.error_class.unwrap_or(ErrorClass::BadResponse),
            error: verdict.error.unwrap_or_default(),
        });
        let Some(fault) = fault else {
            delivery.tally.attempts += 1;
            self.keep(&delivery, ParkedState::Rejected, step.now);
            return self.go_on(key, waiting, step);
        };
        if attempt.is_probe && fault != Fault::Record {
            self.park_probe(delivery, waiting, step);
            return;
        }
        let circumstances = Circumstances {
            fault,
            is_breaker_closed: self.routes[self.homes[home].route].breaker.is_closed(),
            was_parked: delivery.owner == Owner::Store,
            is_leaving: !self.homes[home].is_owned(),
            deliveries: attempt.deliveries,
            retry_after: attempt.retry_after,
            random: attempt.random,
        };
        // A person may have given it a new budget while it was on its way.
        if let Some(charged) = self.parked.charged(delivery.id) {
            delivery.tally.charged = delivery.tally.charged.min(charged);
        }
        let retry = self.routes[self.homes[home].route].route.retry;
        let decision = decision::after_failure(&retry, &mut delivery.tally, &circumstances);
        self.carry_out(decision, delivery, waiting, step);
    }

    /// Tells the route's breaker how a request ended.
    fn tell_breaker(&mut self, deliveries: &[Delivery], worst: &Verdict, is_probe: bool, now: Now) {
        let sign = sign_of(worst);
        let index = self.homes[deliveries[0].place.home].route;
        let route = &mut self.routes[index];
        if sign != Sign::Alive {
            route.last_failure.clone_from(&worst.error);
        }
        let was_closed = route.breaker.is_closed();
        if is_probe {
            route.breaker.end_probe(sign, now.monotonic);
        } else if deliveries
            .iter()
            .any(|delivery| delivery.tally.charged == 0)
        {
            let keys = deliveries.iter().map(|delivery| delivery.id.key_hash);
            route
                .breaker
                .note(&keys.collect::<Vec<_>>(), sign, now.monotonic);
        }
        if was_closed && !route.breaker.is_closed() {
            self.forgive(index, now);
        }
    }

    /// The breaker of a route opened: the suspect tries of what waits there were the endpoint's fault, and nothing
    /// waits for its own due time any more. What came from the store goes back, so that other routes have its room.
    fn forgive(&mut self, route: usize, now: Now) {
        let mut tried = vec![];
        for (key, lane) in &mut self.lanes {
            let Some(waiting) = &mut lane.waiting else {
                continue;
            };
            if self.homes[waiting.delivery.place.home].route != route {
                continue;
            }
            waiting.delivery.tally.suspected = 0;
            if waiting.delivery.owner == Owner::Store {
                if waiting.delivery.has_failed_tries() {
                    tried.extend(lane.waiting.take());
                    continue;
                }
                self.parked.put_back(waiting.delivery.id, now.monotonic);
                self.buffered_bytes = self
                    .buffered_bytes
                    .saturating_sub(waiting.delivery.record.memory_bytes());
                lane.waiting = None;
                continue;
            }
            if let Turn::At(due) = waiting.turn {
                self.waits.remove(&(due, *key));
                waiting.turn = Turn::Ready;
                self.routes[route].ready.push_back(*key);
            }
        }
        // Tried since it was read, in company: its row does not know of that yet.
        for waiting in tried {
            let state = parked(ParkedReason::Retry, now, Duration::ZERO);
            self.keep(&waiting.delivery, state, now);
        }
    }

    fn log_attempt(
        &mut self,
        delivery: &Delivery,
        verdict: &Verdict,
        exchange: ExchangeRow,
        attempt: &Attempt,
        step: &Step<'_>,
    ) {
        let home = &self.homes[delivery.place.home];
        let line = LogLine {
            home: delivery.place.home,
            subject: delivery.subject(),
            coordinates: home.coordinates(delivery.place),
            attempted_at: attempt.attempted_at,
            attempt: delivery.tally.attempts + 1,
            cause: delivery.cause(),
            outcome: outcome_of(verdict.class),
            status: verdict.status,
            error_class: verdict.error_class,
            error: verdict.error.clone(),
            exchange: Some(exchange),
            batch_id: attempt.batch_id.clone(),
        };
        self.log(line, step.now);
    }

    /// The consumer holds a newer version. When it says which, the ledger takes that and marks the key suspect.
    fn accept_staleness(&mut self, delivery: &Delivery, newer: Option<u64>, step: &Step<'_>) {
        // Where the ledger decides what is sent, it must not go on as if nobody had said so.
        let is_relied_on = self.route_at(delivery.place.home).skip_unchanged;
        if let Some(version) = newer.or(is_relied_on.then_some(delivery.id.version)) {
            return self.acknowledge(delivery, Acknowledged::Newer(version), step.now);
        }
        self.end(delivery, step.now);
        self.supersede_parked_below(delivery.id.key_hash, delivery.id.version, step.now);
    }

    /// A failed probe goes to the store, uncharged, so that the next probe is another.
    fn park_probe(&mut self, mut delivery: Delivery, waiting: Option<Waiting>, step: &Step<'_>) {
        let key = delivery.id.key_hash;
        delivery.tally.attempts = delivery.tally.attempts.saturating_add(1);
        delivery.tally.suspected = 0;
        let until = match self.routes[self.homes[delivery.place.home].route]
            .breaker
            .state()
        {
            State::Open { until } => until,
            State::Closed | State::HalfOpen { .. } => step.now.monotonic,
        };
        let state = parked(
            ParkedReason::Probe,
            step.now,
            until.saturating_sub(step.now.monotonic),
        );
        match waiting {
            Some(newer) => self.park_in_place_of(&delivery, *newer.delivery, state, step),
            None => self.keep(&delivery, state, step.now),
        }
        self.drop_idle_lane(key);
    }

    fn carry_out(
        &mut self,
        decision: Decision,
        delivery: Delivery,
        waiting: Option<Waiting>,
        step: &Step<'_>,
    ) {
        let key = delivery.id.key_hash;
        let now = step.now;
        match (decision, waiting) {
            (Decision::Exhaust, waiting) => {
                self.keep(&delivery, ParkedState::Exhausted, now);
                self.go_on(key, waiting, step);
            }
            (Decision::Wait(wait), None) => {
                self.wait_in_lane(delivery, Turn::At(now.monotonic + wait));
            }
            (Decision::Hold, None) => self.wait_in_lane(delivery, Turn::Ready),
            (Decision::Divide { at_most, after }, None) => {
                let delivery = Delivery {
                    company_max: at_most,
                    ..delivery
                };
                self.wait_in_lane(delivery, Turn::after(after, now));
            }
            (Decision::Park(wait), None) => {
                self.keep(&delivery, parked(ParkedReason::Retry, now, wait), now);
                self.drop_idle_lane(key);
            }
            // A newer version takes the failed one's place: its due time, but a budget of its own.
            (Decision::Wait(wait), Some(mut newer)) => {
                self.take_over(&delivery, &mut newer.delivery, now);
                self.wait_in_lane(*newer.delivery, Turn::At(now.monotonic + wait));
            }
            (Decision::Hold, Some(mut newer)) => {
                self.take_over(&delivery, &mut newer.delivery, now);
                self.wait_in_lane(*newer.delivery, Turn::Ready);
            }
            (Decision::Divide { after, .. }, Some(newer)) if delivery.owner == Owner::Store => {
                let state = parked(ParkedReason::Retry, now, after);
                self.park_in_place_of(&delivery, *newer.delivery, state, step);
                self.drop_idle_lane(key);
            }
            (Decision::Divide { at_most, after }, Some(mut newer)) => {
                self.take_over(&delivery, &mut newer.delivery, now);
                newer.delivery.company_max = at_most;
                self.wait_in_lane(*newer.delivery, Turn::after(after, now));
            }
            (Decision::Park(wait), Some(newer)) => {
                let state = parked(ParkedReason::Retry, now, wait);
                self.park_in_place_of(&delivery, *newer.delivery, state, step);
                self.drop_idle_lane(key);
            }
        }
    }

    /// A newer version takes the place of a failed one, and its company: it may fail in the same way.
    fn take_over(&mut self, older: &Delivery, newer: &mut Delivery, now: Now) {
        newer.company_max = newer.company_max.min(older.company_max);
        self.supersede_by(older, newer, now);
    }

    fn park_in_place_of(
        &mut self,
        older: &Delivery,
        mut newer: Delivery,
        state: ParkedState,
        step: &Step<'_>,
    ) {
        newer.first_failed_at = older.first_failed_at;
        self.supersede(older, step.now);
        self.keep(&newer, state, step.now);
    }

    /// What waited behind the request in flight may go, unless what was acknowledged is newer still, or the same.
    pub(super) fn go_on(&mut self, key: KeyHash, waiting: Option<Waiting>, step: &Step<'_>) {
        let acknowledged = self.lanes.get(&key).and_then(|lane| lane.acknowledged);
        match waiting {
            Some(waiting)
                if acknowledged.is_some_and(|held| held.version >= waiting.delivery.id.version) =>
            {
                self.supersede(&waiting.delivery, step.now);
            }
            Some(waiting)
                if waiting.turn == Turn::Ready
                    && self.is_unchanged(&waiting.delivery, acknowledged, step.now) =>
            {
                return self.skip(&waiting.delivery, step.now);
            }
            Some(waiting) => return self.wait_in_lane(*waiting.delivery, waiting.turn),
            None => {}
        }
        self.drop_idle_lane(key);
    }
}

/// What the attempts of one request have in common.
pub(super) struct Attempt {
    batch_id: Option<Arc<str>>,
    attempted_at: Timestamp,
    pub sent_at: Duration,
    /// What the endpoint took for its answer. None without one.
    pub latency: Option<Duration>,
    pub is_probe: bool,
    /// Those that the request carried.
    deliveries: usize,
    retry_after: Option<Duration>,
    /// The same for all, so that those who failed together are due together.
    random: f64,
}
