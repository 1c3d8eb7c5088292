//! Records that share a request: those that are ready once the first of them has waited a little for others.

use std::time::Duration;

use super::delivery::Delivery;
use super::dispatch::outgoing;
use super::lane::Waiting;
use super::{Engine, Step};
use crate::names::KeyHash;
use crate::request::{Batch, Joining, Unmappable};
use crate::settings::{Batching, Route};

impl Engine {
    /// Sends a batch of a route, if one is full or has waited long enough. True when a request left.
    pub(super) fn send_batch(
        &mut self,
        route: usize,
        batching: Batching,
        step: &mut Step<'_>,
    ) -> bool {
        while self.may_send() && self.is_batch_due(route, batching, step.now.monotonic) {
            self.routes[route].gathers_until = None;
            let settings = self.routes[route].route.clone();
            let (deliveries, batch) = self.gather(route, &settings, batching, step);
            // None: nothing of what was ready could be rendered, and all of it has been put aside.
            if let Some(batch) = batch {
                let http = batch.finish(step.now.wall, &self.limits.user_agent);
                self.take_off(deliveries, http, false, step);
                return true;
            }
        }
        false
    }

    fn is_batch_due(&mut self, route: usize, batching: Batching, now: Duration) -> bool {
        let (mut records, mut bytes) = (0, 0);
        let mut records_max = batching.records_max;
        for key in &self.routes[route].ready {
            let lane = self.lanes.get(key).filter(|lane| lane.is_ready());
            let Some(waiting) = lane.and_then(|lane| lane.waiting.as_ref()) else {
                continue;
            };
            let delivery = &waiting.delivery;
            if records < delivery.company_max {
                records_max = records_max.min(delivery.company_max);
                records += 1;
                bytes += delivery.record.raw().len();
            }
            if records >= records_max || bytes >= batching.bytes_max {
                return true;
            }
        }
        let state = &mut self.routes[route];
        if records == 0 {
            state.ready.clear();
            state.gathers_until = None;
            return false;
        }
        let until = state
            .gathers_until
            .get_or_insert(now.saturating_add(batching.wait_max));
        *until <= now
    }

    /// Takes ready records of a route into a batch, in their order. What goes elsewhere, or wants fewer others, keeps its
    /// place; what cannot be rendered is put aside.
    fn gather<'a>(
        &mut self,
        route: usize,
        settings: &'a Route,
        batching: Batching,
        step: &Step<'_>,
    ) -> (Vec<Delivery>, Option<Batch<'a>>) {
        let mut batch = None;
        let mut deliveries = vec![];
        let mut passed_over = vec![];
        let mut records_max = batching.records_max;
        while deliveries.len() < records_max && passed_over.len() < batching.records_max {
            let Some(key) = self.routes[route].ready.pop_front() else {
                break;
            };
            let Some(waiting) = self.take_waiting(key) else {
                continue;
            };
            let company_max = waiting.delivery.company_max;
            if deliveries.len() >= company_max {
                self.leave_waiting(key, waiting);
                passed_over.push(key);
                continue;
            }
            match join(&mut batch, settings, batching, &waiting.delivery) {
                Ok(Joining::Joined) => {
                    records_max = records_max.min(company_max);
                    deliveries.push(*waiting.delivery);
                }
                Ok(Joining::Elsewhere) => {
                    self.leave_waiting(key, waiting);
                    passed_over.push(key);
                }
                Ok(Joining::Full) => {
                    self.leave_waiting(key, waiting);
                    passed_over.push(key);
                    break;
                }
                Err(unmappable) => self.put_aside(*waiting.delivery, &unmappable, step.now),
            }
        }
        let ready = &mut self.routes[route].ready;
        for key in passed_over.into_iter().rev() {
            ready.push_front(key);
        }
        (deliveries, batch)
    }

    pub(super) fn take_waiting(&mut self, key: KeyHash) -> Option<Waiting> {
        let lane = self.lanes.get_mut(&key).filter(|lane| lane.is_ready())?;
        lane.waiting.take()
    }

    fn leave_waiting(&mut self, key: KeyHash, waiting: Waiting) {
        self.lanes.entry(key).or_default().waiting = Some(waiting);
    }
}

/// Takes a record into a batch, or begins one with it.
fn join<'a>(
    batch: &mut Option<Batch<'a>>,
    route: &'a Route,
    batching: Batching,
    delivery: &Delivery,
) -> Result<Joining, Unmappable> {
    if let Some(batch) = batch {
        return batch.add(&outgoing(delivery));
    }
    *batch = Some(Batch::begin(route, batching, &outgoing(delivery))?);
    Ok(Joining::Joined)
}
