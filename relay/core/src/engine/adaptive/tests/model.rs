//! An endpoint with a queue, on a virtual clock, and a limiter that meets it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::super::Limiter;
use crate::names::KeyHash;

/// A refusal takes no work.
const REFUSAL: Duration = Duration::from_millis(1);

/// How an endpoint works.
#[derive(Debug, Clone, Copy)]
pub struct Endpoint {
    /// Requests that it works on at once; others wait for them.
    pub workers: usize,
    /// What each takes.
    pub service: Duration,
    /// It takes so long in the mean; how long is a matter of chance (exponential).
    pub varies: bool,
    /// More than that at once are refused.
    pub refuses_above: usize,
    /// Of a thousand requests, those that fail however few there are.
    pub fails_per_mille: u64,
}

impl Endpoint {
    /// One where no request waits for another.
    pub fn unlimited(service: Duration) -> Self {
        Self {
            workers: usize::MAX,
            service,
            varies: false,
            refuses_above: usize::MAX,
            fails_per_mille: 0,
        }
    }

    pub fn with_workers(workers: usize, service: Duration) -> Self {
        Self {
            workers,
            ..Self::unlimited(service)
        }
    }

    pub fn refusing_above(refuses_above: usize, service: Duration) -> Self {
        Self {
            refuses_above,
            ..Self::unlimited(service)
        }
    }

    pub fn varying(self) -> Self {
        Self {
            varies: true,
            ..self
        }
    }
}

/// What came of some time.
#[derive(Debug)]
pub struct Outcome {
    /// The limits that there were, and their mean over time.
    pub least: usize,
    pub most: usize,
    pub mean: f64,
    pub answered: usize,
    pub refused: usize,
    /// In the mean.
    pub latency: Duration,
}

/// A request on its way, by when it ends.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Flight {
    ends: Duration,
    number: u64,
    sent_at: Duration,
    is_refused: bool,
}

pub struct Model {
    limiter: Limiter,
    now: Duration,
    flights: BinaryHeap<Reverse<Flight>>,
    /// Requests that anybody wants in flight.
    demand: usize,
    /// When each worker that is busy has done all that waits for it.
    busy_until: BinaryHeap<Reverse<Duration>>,
    /// Requests in flight that were not refused.
    at_work: usize,
    sent: u64,
    dice: u64,
}

impl Model {
    /// There is always something to send.
    pub fn new(limiter: Limiter) -> Self {
        Self {
            limiter,
            now: Duration::ZERO,
            flights: BinaryHeap::new(),
            demand: usize::MAX,
            busy_until: BinaryHeap::new(),
            at_work: 0,
            sent: 0,
            dice: 1,
        }
    }

    /// No more are wanted in flight than that.
    pub fn with_demand(self, demand: usize) -> Self {
        Self { demand, ..self }
    }

    pub fn limit(&self) -> usize {
        self.limiter.limit()
    }

    pub fn run(&mut self, endpoint: Endpoint, time: Duration) -> Outcome {
        let ends = self.now + time;
        let (mut least, mut most) = (self.limit(), self.limit());
        let (mut answered, mut refused) = (0, 0);
        let (mut area, mut latency) = (0.0, Duration::ZERO);
        loop {
            while self.flights.len() < self.limit().min(self.demand) {
                self.send(endpoint);
            }
            let next = self.flights.peek().map_or(ends, |flight| flight.0.ends);
            area += self.limit() as f64 * next.min(ends).saturating_sub(self.now).as_secs_f64();
            self.now = next.min(ends);
            if next >= ends {
                break;
            }
            let Some(Reverse(flight)) = self.flights.pop() else {
                break;
            };
            if flight.is_refused {
                refused += 1;
            } else {
                answered += 1;
                self.at_work -= 1;
                latency += self.now.saturating_sub(flight.sent_at);
            }
            self.land(&flight);
            least = least.min(self.limit());
            most = most.max(self.limit());
        }
        Outcome {
            least,
            most,
            mean: area / time.as_secs_f64(),
            answered,
            refused,
            latency: latency / u32::try_from(answered.max(1)).unwrap(),
        }
    }

    fn land(&mut self, flight: &Flight) {
        self.limiter.pass(self.flights.len() + 1, self.now);
        if flight.is_refused {
            let keys = [key(flight.number)];
            self.limiter.troubled(&keys, flight.sent_at, self.now);
        } else {
            let latency = self.now.saturating_sub(flight.sent_at);
            self.limiter.answered(flight.sent_at, latency, self.now);
        }
    }

    fn send(&mut self, endpoint: Endpoint) {
        self.limiter.pass(self.flights.len(), self.now);
        self.sent += 1;
        let is_refused = self.at_work >= endpoint.refuses_above
            || self.draw() % 1_000 < endpoint.fails_per_mille;
        let ends = if is_refused {
            self.now + REFUSAL
        } else {
            self.at_work += 1;
            self.work(endpoint)
        };
        self.flights.push(Reverse(Flight {
            ends,
            number: self.sent,
            sent_at: self.now,
            is_refused,
        }));
    }

    /// When the worker that is free first has done it.
    fn work(&mut self, endpoint: Endpoint) -> Duration {
        let is_free = |until: &Reverse<Duration>, now| until.0 <= now;
        while self
            .busy_until
            .peek()
            .is_some_and(|until| is_free(until, self.now))
        {
            self.busy_until.pop();
        }
        let mut begins = self.now;
        while self.busy_until.len() >= endpoint.workers {
            begins = self.busy_until.pop().unwrap().0;
        }
        let ends = begins + self.service(endpoint);
        self.busy_until.push(Reverse(ends));
        ends
    }

    fn service(&mut self, endpoint: Endpoint) -> Duration {
        if !endpoint.varies {
            return endpoint.service;
        }
        let unit = (self.draw() as f64 + 1.0) / (1_u64 << 53) as f64;
        endpoint.service.mul_f64(-unit.ln())
    }

    /// 53 bits by chance.
    fn draw(&mut self) -> u64 {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005);
        self.dice = self.dice.wrapping_add(1_442_695_040_888_963_407);
        self.dice >> 11
    }
}

pub fn key(number: u64) -> KeyHash {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    KeyHash(bytes)
}
