//! A world around two engines: Kafka, the store, the consumer and the clock, all played by tables.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod store;
mod topic;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use relay_core::egress::Egress;
use relay_core::engine::journal::FlushLimits;
use relay_core::engine::{Action, Engine, Event, Limits, RequestId};
use relay_core::exchange::{Answer, End, ErrorClass, Exchange, HttpRequest, Timings};
use relay_core::names::{DeliveryId, Partition};
use relay_core::request::Url;
use relay_core::settings::{
    Breaker, BreakerOpen, Destination, LogBody, Method, Methods, Retention, Retry, Route, Start,
};
use relay_core::time::{Now, Timestamp};
use store::Store;
use topic::Topic;

pub const MAX_RETRIES: u32 = 3;
const POISON: &str = "0";

/// What may happen.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    pub behaviour: Behaviour,
    pub may_lose_partitions: bool,
}

/// How the consumer answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// Every kind of answer and failure.
    Anything,
    /// One key always gets 500, the others 200.
    OnePoisonKey,
    /// Nobody listens.
    Down,
    Well,
}

/// A replica, what it has asked for, and what is on its way to the consumer.
struct Replica {
    engine: Engine,
    pending: Vec<Action>,
    flights: BTreeMap<RequestId, (DeliveryId, HttpRequest)>,
    assigned: BTreeMap<Partition, Fetch>,
    is_stopping: bool,
}

/// A partition as its consumer sees it.
#[derive(Debug, Clone, Copy)]
struct Fetch {
    position: i64,
    is_paused: bool,
    is_revoking: bool,
}

pub struct World {
    rules: Rules,
    now: Duration,
    topic: Topic,
    store: Store,
    replicas: Vec<Replica>,
    /// Versions acknowledged, by key; what a killed replica had not made durable is forgotten.
    acknowledged: BTreeMap<String, (u64, usize)>,
    breaker_openings: u32,
    attempts: u32,
}

impl World {
    pub fn new(rules: Rules) -> Self {
        let mut world = Self {
            rules,
            now: Duration::ZERO,
            topic: Topic::default(),
            store: Store::default(),
            replicas: vec![],
            acknowledged: BTreeMap::new(),
            breaker_openings: 0,
            attempts: 0,
        };
        world.replicas = (0..2).map(|_| replica()).collect();
        for (index, partition) in Topic::partitions().into_iter().enumerate() {
            world.assign(index % 2, &partition);
        }
        world
    }

    /// Lets the tape decide what happens.
    pub fn play(&mut self, tape: &[u32]) {
        for choice in tape {
            self.happen(*choice);
            self.check();
        }
    }

    fn happen(&mut self, choice: u32) {
        let detail = (choice / 64) as usize;
        let who = detail % 2;
        match choice % 64 {
            0..=13 => self.topic.produce(detail),
            14..=29 => self.read(who, 1 + detail / 2 % 3),
            30..=41 => self.answer(who, detail / 2),
            42..=53 => self.serve(who, detail / 2),
            54..=57 => self.pass_time(who, detail / 2),
            58 => self.revoke(who, detail / 2),
            59 => self.kill(who),
            60 => self.stop(who),
            61 if self.rules.may_lose_partitions => self.lose(who),
            62 => self.store.refuse_next_batch(),
            _ => self.ask_to_retry(detail),
        }
    }

    fn step(&mut self, who: usize, event: Event) {
        let now = self.moment();
        let mut actions = vec![];
        let random = u64::from(self.now.subsec_nanos()) ^ self.now.as_secs();
        let replica = &mut self.replicas[who];
        let was_open = replica.engine.view(self.now).breaker.is_some();
        replica.engine.step(event, now, random, &mut actions);
        replica
            .engine
            .step(Event::Tick, now, random ^ 7, &mut actions);
        if !was_open && replica.engine.view(self.now).breaker.is_some() {
            self.breaker_openings += 1;
        }
        for action in actions {
            self.note(who, action);
        }
    }

    fn note(&mut self, who: usize, action: Action) {
        match action {
            Action::Send { request, http } => self.send(who, request, http),
            Action::Commit { partition, offset } => self.topic.commit(&partition, offset),
            Action::Pause { partition } => self.set_paused(who, &partition, true),
            Action::Resume { partition } => self.set_paused(who, &partition, false),
            Action::Release { partition } => {
                self.replicas[who].assigned.remove(&partition);
                let other = if self.replicas[who].is_stopping {
                    1 - who
                } else {
                    (who + 1) % 2
                };
                self.assign(other, &partition);
            }
            Action::Stopped => {
                let stopped = std::mem::replace(&mut self.replicas[who], replica());
                for partition in stopped.assigned.into_keys() {
                    self.assign(who, &partition);
                }
            }
            other => self.replicas[who].pending.push(other),
        }
    }

    fn send(&mut self, who: usize, request: RequestId, http: HttpRequest) {
        let header = |name| {
            http.headers
                .iter()
                .find(|(n, _)| *n == name)
                .unwrap()
                .1
                .clone()
        };
        let id: DeliveryId = header("webhook-id").parse().unwrap();
        let key = header("replicates-to-key");
        self.attempts += 1;
        let is_twice = |replica: &Replica| {
            replica
                .flights
                .values()
                .any(|(other, _)| other.key_hash == id.key_hash)
        };
        if !self.rules.may_lose_partitions {
            assert!(
                !self.replicas.iter().any(is_twice),
                "two requests of key {key} in flight"
            );
            if let Some((newest, _)) = self.acknowledged.get(&key) {
                assert!(
                    *newest <= id.version,
                    "{key}: version {} is sent after {newest} was acknowledged",
                    id.version
                );
            }
        }
        assert!(
            !is_twice(&self.replicas[who]),
            "two requests of key {key} in flight from one replica"
        );
        self.replicas[who].flights.insert(request, (id, http));
    }

    fn set_paused(&mut self, who: usize, partition: &Partition, is_paused: bool) {
        if let Some(fetch) = self.replicas[who].assigned.get_mut(partition) {
            fetch.is_paused = is_paused;
        }
    }

    fn assign(&mut self, who: usize, partition: &Partition) {
        let fetch = Fetch {
            position: self.topic.committed(partition),
            is_paused: true,
            is_revoking: false,
        };
        self.replicas[who].assigned.insert(partition.clone(), fetch);
        self.step(
            who,
            Event::Assigned {
                partition: partition.clone(),
            },
        );
    }

    /// The replica reads records of the partitions it fetches.
    fn read(&mut self, who: usize, count: usize) {
        for _ in 0..count {
            let fetched = self.replicas[who]
                .assigned
                .iter_mut()
                .find(|(partition, fetch)| {
                    !fetch.is_paused && self.topic.has(partition, fetch.position)
                });
            let Some((partition, fetch)) = fetched else {
                return;
            };
            let record = self.topic.record(partition, fetch.position);
            fetch.position = record.coordinates.offset + 1;
            self.step(who, Event::Record(record));
        }
    }

    /// A request of the replica is answered.
    fn answer(&mut self, who: usize, detail: usize) {
        let count = self.replicas[who].flights.len();
        if count == 0 {
            return;
        }
        let request = *self.replicas[who]
            .flights
            .keys()
            .nth(detail % count)
            .unwrap();
        let (id, http) = self.replicas[who].flights.remove(&request).unwrap();
        let key = http
            .headers
            .iter()
            .find(|(n, _)| *n == "replicates-to-key")
            .unwrap()
            .1
            .clone();
        let end = self.consumer_answers(&key, detail / 7);
        if matches!(&end, End::Answered(answer) if answer.status == 200 && answer.body.is_empty()) {
            let newest = self.acknowledged.entry(key).or_insert((0, who));
            if newest.0 < id.version {
                *newest = (id.version, who);
            }
        }
        let exchange = Exchange {
            end,
            timings: Timings::default(),
        };
        self.step(
            who,
            Event::Answer {
                request,
                http,
                exchange,
            },
        );
    }

    fn consumer_answers(&self, key: &str, detail: usize) -> End {
        let answered = |status, body: &[u8]| {
            End::Answered(Answer {
                status,
                headers: vec![],
                body: body.to_vec(),
                is_truncated: false,
            })
        };
        let failed = |class| End::Failed {
            class,
            error: "failed".into(),
        };
        match self.rules.behaviour {
            Behaviour::Down => failed(ErrorClass::Connect),
            Behaviour::OnePoisonKey if key == POISON => answered(500, b""),
            Behaviour::Well | Behaviour::OnePoisonKey => answered(200, b""),
            Behaviour::Anything => match detail % 16 {
                0..=7 => answered(200, b""),
                8 => answered(422, b""),
                9 => answered(409, b""),
                10 => answered(409, b"{\"status\":\"stale\"}"),
                11 => answered(503, b""),
                12 => failed(ErrorClass::Timeout),
                13 => failed(ErrorClass::Connect),
                14 => {
                    let headers = vec![("retry-after".into(), "7".into())];
                    End::Answered(Answer {
                        status: 429,
                        headers,
                        body: vec![],
                        is_truncated: false,
                    })
                }
                _ => answered(500, b""),
            },
        }
    }

    /// The store does one of the things the replica asked for.
    fn serve(&mut self, who: usize, detail: usize) {
        let count = self.replicas[who].pending.len();
        if count == 0 {
            return;
        }
        let action = self.replicas[who].pending.remove(detail % count);
        let event = self.store.serve(action, self.moment());
        self.step(who, event);
    }

    fn pass_time(&mut self, who: usize, detail: usize) {
        let jump = match self.replicas[who].engine.next_timer(self.now) {
            Some(timer) if !detail.is_multiple_of(3) => timer.max(self.now),
            _ => self.now + Duration::from_millis((detail % 5_000) as u64),
        };
        self.now = jump;
        for who in 0..2 {
            self.step(who, Event::Tick);
        }
    }

    fn revoke(&mut self, who: usize, detail: usize) {
        let mine: Vec<_> = self.replicas[who]
            .assigned
            .iter()
            .filter(|(_, f)| !f.is_revoking)
            .map(|(p, _)| p.clone())
            .collect();
        if mine.is_empty() {
            return;
        }
        let partition = mine[detail % mine.len()].clone();
        self.replicas[who]
            .assigned
            .get_mut(&partition)
            .unwrap()
            .is_revoking = true;
        self.step(
            who,
            Event::Revoked {
                partitions: vec![partition],
            },
        );
    }

    fn stop(&mut self, who: usize) {
        if !self.replicas[who].is_stopping {
            self.replicas[who].is_stopping = true;
            self.step(who, Event::Stop);
        }
    }

    /// kill -9: what was not durable is gone, its partitions go to the other replica.
    fn kill(&mut self, who: usize) {
        let dead = std::mem::replace(&mut self.replicas[who], replica());
        let durable = |key: &str| self.store.ledger_version(key);
        for (key, (version, by)) in &mut self.acknowledged {
            if *by == who {
                *version = durable(key);
            }
        }
        let heir = if self.replicas[1 - who].is_stopping {
            who
        } else {
            1 - who
        };
        for partition in dead.assigned.into_keys() {
            self.assign(heir, &partition);
        }
    }

    /// The group gives the replica's partitions away because it was silent.
    fn lose(&mut self, who: usize) {
        let lost: Vec<_> = std::mem::take(&mut self.replicas[who].assigned)
            .into_keys()
            .collect();
        self.step(
            who,
            Event::Lost {
                partitions: lost.clone(),
            },
        );
        for partition in lost {
            self.assign(1 - who, &partition);
        }
    }

    /// A person retries an undelivered record; its owner hears of it.
    fn ask_to_retry(&mut self, detail: usize) {
        let now = self.moment();
        if let Some(entry) = self.store.ask_to_retry(detail, now.wall) {
            for who in 0..2 {
                self.step(
                    who,
                    Event::ManualRetries {
                        entries: vec![entry.clone()],
                    },
                );
            }
        }
    }

    fn check(&self) {
        self.store.assert_budgets(MAX_RETRIES);
        for partition in Topic::partitions() {
            for offset in self
                .topic
                .offsets_below(&partition, self.topic.committed(&partition))
            {
                assert!(
                    self.store.explains(&partition, offset),
                    "{partition:?} {offset} is committed but unexplained"
                );
            }
        }
    }

    /// Everything works from now on: time passes until nothing is left to do.
    pub fn calm_down(&mut self) {
        self.rules.behaviour = Behaviour::Well;
        self.store.recover();
        self.let_time_pass();
        for _ in 0..4 {
            self.retry_everything();
            self.let_time_pass();
        }
    }

    fn retry_everything(&mut self) {
        for detail in 0..64 {
            self.ask_to_retry(detail);
        }
    }

    pub fn let_time_pass(&mut self) {
        self.store.recover();
        for round in 0..400 {
            for who in 0..2 {
                while !self.replicas[who].pending.is_empty() {
                    self.serve(who, 0);
                }
                self.read(who, 64);
                while !self.replicas[who].flights.is_empty() {
                    self.answer(who, 0);
                }
            }
            self.check();
            let next = self
                .replicas
                .iter()
                .filter_map(|replica| replica.engine.next_timer(self.now))
                .min();
            self.now = next.unwrap_or(self.now).max(self.now) + Duration::from_millis(1);
            for who in 0..2 {
                self.step(who, Event::Tick);
            }
            let is_quiet = next.is_none()
                && self
                    .replicas
                    .iter()
                    .all(|r| r.pending.is_empty() && r.flights.is_empty());
            if is_quiet && round > 10 {
                return;
            }
        }
    }

    /// Every record has ended, and the consumer acknowledged the newest version of every key.
    pub fn assert_converged(&self) {
        for partition in Topic::partitions() {
            assert_eq!(
                self.topic.committed(&partition),
                self.topic.end(&partition),
                "{partition:?} is not read to its end"
            );
        }
        for (key, newest) in self.topic.newest_versions() {
            let is_ended =
                self.store.ledger_version(&key) == newest || self.store.says_stale(&key, newest);
            assert!(
                is_ended,
                "{key}: {newest} was not delivered, the ledger holds {}",
                self.store.ledger_version(&key)
            );
        }
        assert_eq!(
            self.store.undelivered(),
            0,
            "undelivered records are left: {:?}",
            self.store.states()
        );
    }

    pub fn assert_poison_is_exhausted_and_others_delivered(&self) {
        for (key, newest) in self.topic.newest_versions() {
            if key == POISON {
                assert!(
                    self.store.is_exhausted(&key, newest),
                    "the poison key is not exhausted: {:?}",
                    self.store.states()
                );
            } else {
                assert_eq!(self.store.ledger_version(&key), newest, "{key} was held up");
            }
        }
    }

    pub fn assert_no_budget_was_spent(&self) {
        assert!(self.store.charged().all(|charged| charged == 0));
    }

    pub fn breaker_openings(&self) -> u32 {
        self.breaker_openings
    }

    fn moment(&self) -> Now {
        Now {
            monotonic: self.now,
            wall: Timestamp::new(1_795_000_000, 0)
                .unwrap()
                .checked_add(self.now)
                .unwrap(),
        }
    }
}

fn replica() -> Replica {
    let limits = Limits {
        flush: FlushLimits {
            rows: 4,
            interval: Duration::from_millis(100),
        },
        commit_interval: Duration::from_millis(200),
        buffer_bytes_max: 1 << 20,
        user_agent: "replicates-relay/test".into(),
        topic_prefix: "replicates_to.".into(),
    };
    Replica {
        engine: Engine::new(Arc::new(destination()), limits),
        pending: vec![],
        flights: BTreeMap::new(),
        assigned: BTreeMap::new(),
        is_stopping: false,
    }
}

fn destination() -> Destination {
    let route = Route {
        url: Url::parse("http://127.0.0.1:1/").unwrap(),
        methods: Methods::all(Method::Post),
        headers: vec![],
        timeout: Duration::from_secs(5),
        log_body: LogBody::None,
        log_body_bytes_max: 1024,
        mask: vec![],
        retry: Retry {
            max_retries: MAX_RETRIES,
            in_place: 1,
            base: Duration::from_secs(1),
            factor: 3.0,
            cap: Duration::from_secs(60),
            jitter: 0.2,
        },
        breaker: Breaker {
            failure_ratio: 0.5,
            min_keys: 3,
            window: Duration::from_secs(60),
        },
        signing: vec![],
    };
    Destination {
        name: "billing".into(),
        sources: vec![],
        start: Start::Earliest,
        connect_timeout: Duration::from_secs(2),
        response_bytes_max: 1024,
        egress: Egress::default(),
        concurrency: 3,
        parked_max: 1_000,
        retention: Retention {
            success: Duration::from_secs(3600),
            failure: Duration::from_secs(7200),
        },
        retry_after_max: Duration::from_secs(3600),
        breaker_open: BreakerOpen {
            base: Duration::from_secs(5),
            cap: Duration::from_secs(20),
        },
        route,
        routes: BTreeMap::new(),
    }
}
