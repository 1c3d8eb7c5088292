//! An answer came: it is judged, logged, and its deliveries end, wait or are parked.

use std::time::Duration;

use super::decision::{self, Circumstances, Decision, Fault};
use super::delivery::{Delivery, Failure, Owner};
use super::dispatch::outgoing;
use super::ending::{Acknowledged, LogLine};
use super::event::RequestId;
use super::lane::{Turn, Waiting};
use super::ownership::parked;
use super::{Engine, Flight, Step};
use crate::engine::breaker::{Sign, State};
use crate::exchange::{ErrorClass, Exchange, HttpRequest};
use crate::mask::Mask;
use crate::names::KeyHash;
use crate::request;
use crate::rows::{Outcome, ParkedReason, ParkedState};
use crate::verdict::{self, Class, Question, Verdict};

impl Engine {
    pub(super) fn on_answer(
        &mut self,
        request: RequestId,
        http: &HttpRequest,
        exchange: &Exchange,
        step: &mut Step<'_>,
    ) {
        let Some(flight) = self.flights.remove(&request) else {
            return;
        };
        let Flight {
            deliveries,
            attempted_at,
            is_probe,
        } = flight;
        let questions: Vec<_> = deliveries
            .iter()
            .map(|delivery| Question {
                id: delivery.id,
                operation: delivery.record.operation,
                method: http.method,
                names_key: self.route_at(delivery.place.home).url.names_key(),
            })
            .collect();
        let Some(first) = deliveries.first() else {
            return;
        };
        let route = self.route_at(first.place.home);
        let verdicts = verdict::judge(exchange, &questions, &route.classify);
        for (delivery, verdict) in deliveries.into_iter().zip(verdicts) {
            let attempt = Attempt {
                http,
                exchange,
                attempted_at,
                is_probe,
            };
            self.settle(delivery, verdict, &attempt, step);
        }
    }

    fn settle(
        &mut self,
        mut delivery: Delivery,
        mut verdict: Verdict,
        attempt: &Attempt<'_>,
        step: &mut Step<'_>,
    ) {
        let key = delivery.id.key_hash;
        let home = delivery.place.home;
        let is_orphan = self.is_orphan(&delivery);
        if let Some(lane) = self.lanes.get_mut(&key) {
            lane.in_flight = None;
        }
        if !is_orphan {
            self.homes[home].flights -= 1;
        }
        verdict.error = self.masked(&delivery, verdict.error, attempt.http);
        let retry_after = verdict::retry_after(
            attempt.exchange,
            step.now.wall,
            self.settings.retry_after_max,
        );
        self.tell_breaker(&delivery, &verdict, attempt.is_probe, step);
        if let (Class::Endpoint | Class::Suspect, Some(wait)) = (verdict.class, retry_after) {
            self.hold_until = self
                .hold_until
                .max(Some(step.now.monotonic.saturating_add(wait)));
        }
        self.log_attempt(&delivery, &verdict, attempt, step);
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
        };
        if is_orphan {
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
            retry_after,
            random: step.chance.next(),
        };
        // A person may have given it a new budget while it was on its way.
        if let Some(charged) = self.parked.charged(delivery.id) {
            delivery.tally.charged = delivery.tally.charged.min(charged);
        }
        let retry = self.routes[self.homes[home].route].route.retry;
        let decision = decision::after_failure(&retry, &mut delivery.tally, &circumstances);
        self.carry_out(decision, delivery, waiting, step);
    }

    fn masked(
        &self,
        delivery: &Delivery,
        error: Option<String>,
        http: &HttpRequest,
    ) -> Option<String> {
        let route = self.route_at(delivery.place.home);
        let mask = || Mask::new(route, [&delivery.record]).with_token(http.token.as_ref());
        error.map(|error| mask().error(&error))
    }

    fn tell_breaker(
        &mut self,
        delivery: &Delivery,
        verdict: &Verdict,
        is_probe: bool,
        step: &Step<'_>,
    ) {
        let now = step.now.monotonic;
        let sign = sign_of(verdict);
        let index = self.homes[delivery.place.home].route;
        let route = &mut self.routes[index];
        if sign != Sign::Alive {
            route.last_failure.clone_from(&verdict.error);
        }
        let was_closed = route.breaker.is_closed();
        if is_probe {
            route.breaker.end_probe(sign, now);
        } else if delivery.tally.charged == 0 {
            route.breaker.note(delivery.id.key_hash, sign, now);
        }
        if was_closed && !route.breaker.is_closed() {
            self.forgive(index, now);
        }
    }

    /// The breaker of a route opened: the suspect tries of what waits there were the endpoint's fault, and nothing
    /// waits for its own due time any more. What came from the store goes back, so that other routes have its room.
    fn forgive(&mut self, route: usize, now: Duration) {
        for (key, lane) in &mut self.lanes {
            let Some(waiting) = &mut lane.waiting else {
                continue;
            };
            if self.homes[waiting.delivery.place.home].route != route {
                continue;
            }
            if waiting.delivery.owner == Owner::Store {
                self.parked.put_back(waiting.delivery.id, now);
                self.buffered_bytes = self
                    .buffered_bytes
                    .saturating_sub(waiting.delivery.record.memory_bytes());
                lane.waiting = None;
                continue;
            }
            waiting.delivery.tally.suspected = 0;
            if let Turn::At(due) = waiting.turn {
                self.waits.remove(&(due, *key));
                waiting.turn = Turn::Ready;
                self.routes[route].ready.push_back(*key);
            }
        }
    }

    fn log_attempt(
        &mut self,
        delivery: &Delivery,
        verdict: &Verdict,
        attempt: &Attempt<'_>,
        step: &Step<'_>,
    ) {
        let outcome = match verdict.class {
            Class::Delivered => Outcome::Delivered,
            Class::Stale { .. } => Outcome::Stale,
            Class::Reject => Outcome::Rejected,
            Class::Retry | Class::Suspect | Class::Endpoint => Outcome::Retryable,
        };
        let home = &self.homes[delivery.place.home];
        let route = &self.routes[home.route].route;
        let exchange = request::row(
            route,
            &[outgoing(delivery)],
            attempt.http,
            attempt.exchange,
            outcome,
        );
        let line = LogLine {
            home: delivery.place.home,
            subject: delivery.subject(),
            coordinates: home.coordinates(delivery.place.offset),
            attempted_at: attempt.attempted_at,
            attempt: delivery.tally.attempts + 1,
            cause: delivery.cause(),
            outcome,
            status: verdict.status,
            error_class: verdict.error_class,
            error: verdict.error.clone(),
            exchange: Some(exchange),
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
            (Decision::Park(wait), None) => {
                self.keep(&delivery, parked(ParkedReason::Retry, now, wait), now);
                self.drop_idle_lane(key);
            }
            // A newer version takes the failed one's place: its due time, but a budget of its own.
            (Decision::Wait(wait), Some(mut newer)) => {
                self.supersede_by(&delivery, &mut newer.delivery, now);
                self.wait_in_lane(*newer.delivery, Turn::At(now.monotonic + wait));
            }
            (Decision::Hold, Some(mut newer)) => {
                self.supersede_by(&delivery, &mut newer.delivery, now);
                self.wait_in_lane(*newer.delivery, Turn::Ready);
            }
            (Decision::Park(wait), Some(newer)) => {
                let state = parked(ParkedReason::Retry, now, wait);
                self.park_in_place_of(&delivery, *newer.delivery, state, step);
                self.drop_idle_lane(key);
            }
        }
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
    fn go_on(&mut self, key: KeyHash, waiting: Option<Waiting>, step: &Step<'_>) {
        let acknowledged = self.lanes.get(&key).and_then(|lane| lane.acknowledged);
        match waiting {
            Some(waiting)
                if acknowledged.is_some_and(|held| held.version >= waiting.delivery.id.version) =>
            {
                self.supersede(&waiting.delivery, step.now);
            }
            Some(waiting)
                if waiting.turn == Turn::Ready
                    && self.is_unchanged(&waiting.delivery, acknowledged) =>
            {
                return self.skip(&waiting.delivery, step.now);
            }
            Some(waiting) => return self.wait_in_lane(*waiting.delivery, waiting.turn),
            None => {}
        }
        self.drop_idle_lane(key);
    }
}

/// The attempt that a verdict is about.
struct Attempt<'a> {
    http: &'a HttpRequest,
    exchange: &'a Exchange,
    attempted_at: crate::time::Timestamp,
    is_probe: bool,
}

fn sign_of(verdict: &Verdict) -> Sign {
    match verdict.class {
        _ if verdict.opens_breaker_at_once() => Sign::Unreachable,
        Class::Endpoint | Class::Suspect => Sign::Failing,
        Class::Delivered | Class::Stale { .. } | Class::Reject | Class::Retry => Sign::Alive,
    }
}
