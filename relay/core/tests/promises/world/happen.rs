//! One step of a world.

use std::time::Duration;

use relay_core::engine::{Action, Event, RequestId};
use relay_core::exchange::{End, Exchange, Timings};

use super::endpoint::{Meaning, Reply, Weather};
use super::group::short;
use super::replica::{Asked, Flight};
use super::rules::Happening;
use super::store::Fate;
use super::topics::{Topics, describe};
use super::{REPLICAS, World, settings};

/// By how many seconds a clock may be wrong.
const CLOCK_ERRORS: [i64; 7] = [0, 0, -5, 5, -600, 600, 10_800];

impl World {
    pub(super) fn happen(&mut self, happening: Happening) {
        let who = self.dice.below(REPLICAS);
        match happening {
            Happening::Produce => self.produce(),
            Happening::Read => {
                let count = 1 + self.dice.below(4);
                self.read(who, count);
            }
            Happening::Answer => self.answer_one(who),
            Happening::Serve => self.serve_one(who),
            Happening::Hear => self.hear_one(who),
            Happening::PassTime => self.pass_time(who),
            Happening::Settle => self.settle(),
            Happening::LookOut => self.look_out(who),
            Happening::Rebalance => self.rebalance(),
            Happening::Crash => self.crash(who),
            Happening::Stop => self.stop(who),
            Happening::Freeze => {
                self.say(|| format!("replica {who} stands still"));
                self.replicas[who].is_frozen = true;
            }
            Happening::Thaw => self.replicas[who].is_frozen = false,
            Happening::Expire => self.expire(who),
            Happening::RefuseFlush => self.store.next_batch = Some(Fate::Refused),
            Happening::LoseFlushAnswer => self.store.next_batch = Some(Fate::WrittenUnheard),
            Happening::StoreSwitch => {
                self.store.is_down = !self.store.is_down;
                let is_down = self.store.is_down;
                self.say(|| format!("the store is {}", if is_down { "down" } else { "back" }));
            }
            Happening::LateWrite => self.write_late(),
            Happening::LoseCommit => self.group.lose_next_commit(),
            Happening::SetClock => {
                let error = self.dice.pick(&CLOCK_ERRORS);
                self.say(|| format!("the clock of replica {who} is wrong by {error} s"));
                self.replicas[who].clock_error = error;
            }
            Happening::ChangeWeather => {
                let weather = self.dice.pick(&self.rules.weathers.clone());
                self.set_weather(weather);
            }
            Happening::LateApply => {
                if !self.loose.is_empty() {
                    let at = self.dice.below(self.loose.len());
                    let (key, version) = self.loose.swap_remove(at);
                    self.endpoint.apply(&key, version);
                }
            }
            Happening::PersonRetries => self.person_retries(who),
            Happening::PauseSwitch => {
                self.is_paused = !self.is_paused;
                let is_paused = self.is_paused;
                self.say(|| format!("a person says that the destination is paused: {is_paused}"));
            }
            Happening::Configure => {
                if self.dice.happens(50) {
                    self.rules.change_configuration(&mut self.dice);
                }
                self.configure(who);
            }
            Happening::Retain => {
                let partition = self.dice.pick(&self.topics.partitions());
                self.topics.expire(&partition, &mut self.dice);
                let begin = self.topics.begin(&partition);
                self.say(|| format!("{} begins at {begin} now", short(&partition)));
            }
            Happening::GoBack => {
                self.say(|| "the versions of the source begin anew".into());
                self.topics.go_back(&mut self.dice);
            }
            Happening::RaiseGeneration => {
                self.say(|| "the generation of the source is raised".into());
                self.topics.raise_generation();
            }
            Happening::PersonResumes => self.person_resumes(),
            Happening::Grow => self.grow(),
        }
    }

    /// A replica reads its configuration again.
    fn configure(&mut self, who: usize) {
        let knobs = self.rules.knobs;
        if self.replicas[who].is_frozen {
            return;
        }
        self.say(|| format!("replica {who} is configured: {knobs:?}"));
        self.replicas[who].knobs = knobs;
        let settings = settings::destination(&knobs).into();
        let buffer_bytes_max = knobs.buffer_bytes_max;
        let event = Event::Configured {
            settings,
            buffer_bytes_max,
        };
        self.step(who, event);
    }

    fn produce(&mut self) {
        self.topics.clock = self.wall();
        for _ in 0..=self.dice.below(3) {
            self.topics
                .produce(&mut self.dice, self.rules.knobs.rubbish_percent);
        }
        for id in self.topics.take_repeated() {
            self.accounts.lose_count_of(id);
        }
    }

    pub(super) fn set_weather(&mut self, weather: Weather) {
        let model = self.dice.pick(&self.topics.keys()).model;
        let models = if self.dice.happens(50) {
            vec!["Vehicle", "Driver"]
        } else {
            vec![model]
        };
        for model in models {
            self.say(|| format!("the endpoint of {model} is now: {weather:?}"));
            self.endpoint.set_weather(model, weather);
        }
    }

    /// The replica reads records of the partitions that it fetches.
    pub(super) fn read(&mut self, who: usize, count: usize) {
        for _ in 0..count {
            let replica = &mut self.replicas[who];
            if replica.is_frozen {
                return;
            }
            let next = replica.assigned.iter_mut().find_map(|(partition, fetch)| {
                let record = self
                    .topics
                    .record(partition, fetch.position)
                    .filter(|_| !fetch.is_paused)?;
                fetch.position = record.coordinates.offset + 1;
                Some(record.clone())
            });
            let Some(record) = next else { return };
            self.say(|| format!("replica {who} reads {}", describe(&record)));
            self.step(who, Event::Record(record));
        }
    }

    fn answer_one(&mut self, who: usize) {
        let replica = &self.replicas[who];
        let ready: Vec<RequestId> = replica
            .flights
            .iter()
            .filter(|(_, flight)| !replica.is_frozen && !self.endpoint.lets_wait(&flight.model))
            .map(|(request, _)| *request)
            .collect();
        if !ready.is_empty() {
            let request = self.dice.pick(&ready);
            self.answer(who, request);
        }
    }

    /// The consumer ends a request.
    pub(super) fn answer(&mut self, who: usize, request: RequestId) {
        let flight = &self.replicas[who].flights[&request];
        let wall = self.moment(who).wall;
        let reply = self.endpoint.reply(flight, wall, &mut self.dice);
        self.end(who, request, reply);
    }

    fn time_out(&mut self, who: usize, request: RequestId) {
        let flight = &self.replicas[who].flights[&request];
        let reply = self.endpoint.time_out(&flight.riders, &mut self.dice);
        self.end(who, request, reply);
    }

    fn end(&mut self, who: usize, request: RequestId, reply: Reply) {
        let flight = self.replicas[who].flights.remove(&request).unwrap();
        let Reply { end, meanings, .. } = reply;
        self.say(|| format!("replica {who}: {request:?} is answered: {meanings:?}"));
        self.watch
            .ended(who, &flight.model, &flight.riders, &meanings, self.now);
        for (key, version) in reply.applied_late {
            if self.endpoint.poison_of(&key).is_none() {
                self.loose.push((key, version));
            }
        }
        let owned: Vec<_> = flight
            .riders
            .iter()
            .map(|rider| self.replicas[who].owns(rider))
            .collect();
        for ((rider, meaning), is_owned) in flight.riders.iter().zip(&meanings).zip(&owned) {
            match meaning {
                Meaning::Delivered if *is_owned => {
                    self.replicas[who].raise_floor(&rider.key, rider.id.version);
                }
                Meaning::Stale(Some(newer)) if *is_owned => {
                    self.replicas[who].raise_floor(&rider.key, *newer);
                }
                _ => {}
            }
        }
        let is_endpoints =
            |meaning: &Meaning| matches!(meaning, Meaning::Endpoint | Meaning::Unclear);
        if let Some(seconds) = reply.retry_after_seconds
            && meanings.iter().any(is_endpoints)
        {
            let asked = Duration::from_secs(seconds).min(settings::RETRY_AFTER_MAX);
            let replica = &mut self.replicas[who];
            replica.hold_until = replica.hold_until.max(self.now + asked);
        }
        self.note_division(who, &flight, &end, &meanings);
        let sent_at = flight.deadline.saturating_sub(super::settings::TIMEOUT);
        let took = self.now.saturating_sub(sent_at);
        let timings = Timings {
            total_ms: took.as_secs_f32() * 1_000.0,
            ..Timings::default()
        };
        let exchange = Exchange { end, timings };
        let answer = Event::Answer {
            request,
            http: flight.http,
            exchange,
        };
        self.step(who, answer);
        let breaker = self.breaker(who);
        let is_together = flight.riders.len() > 1;
        for ((rider, meaning), is_owned) in flight.riders.iter().zip(meanings).zip(owned) {
            if is_owned {
                let meaning = match meaning {
                    Meaning::Unclear if is_together => Meaning::Shared,
                    other => other,
                };
                self.accounts
                    .ended(who, rider.id, &rider.partition, meaning, breaker.as_ref());
            }
        }
        self.accounts.see_breaker(who, breaker.as_ref());
    }

    /// A request that was refused as a whole: its records go on with fewer others.
    fn note_division(&mut self, who: usize, flight: &Flight, end: &End, meanings: &[Meaning]) {
        let End::Answered(answer) = end else { return };
        if meanings[0] != Meaning::Shared {
            return;
        }
        let company_max = match answer.status {
            413 => flight.riders.len().div_ceil(2),
            _ => 1,
        };
        for rider in flight.riders.iter().filter(|rider| !rider.has_moved()) {
            let key = (rider.id, rider.assignment);
            self.replicas[who].divided.insert(key, company_max);
        }
    }

    fn serve_one(&mut self, who: usize) {
        let count = self.replicas[who].asked.len();
        if count == 0 {
            return;
        }
        let at = self.dice.below(count);
        self.serve(who, at);
    }

    /// The store does what was asked, or not; the replica hears of it later.
    pub(super) fn serve(&mut self, who: usize, at: usize) {
        if self.store.is_down {
            // Reads are repeated until they succeed.
            if let Asked::Of(Action::Flush { batch, .. }) = self.replicas[who].asked[at] {
                self.replicas[who].asked.remove(at);
                self.replicas[who]
                    .arriving
                    .push(Event::FlushRefused { batch });
            }
            return;
        }
        let asked = self.replicas[who].asked.remove(at);
        let answer = self.answer_of_store(who, asked);
        self.replicas[who].arriving.extend(answer);
    }

    fn hear_one(&mut self, who: usize) {
        let count = self.replicas[who].arriving.len();
        if count > 0 && !self.replicas[who].is_frozen {
            let at = self.dice.below(count);
            self.hear(who, at);
        }
    }

    pub(super) fn hear(&mut self, who: usize, at: usize) {
        let event = self.replicas[who].arriving.remove(at);
        self.step(who, event);
    }

    fn pass_time(&mut self, who: usize) {
        let timer = self.replicas[who].engine.next_timer(self.now);
        self.now = match timer {
            Some(timer) if self.dice.happens(60) => timer.max(self.now),
            _ => self.now + Duration::from_millis(self.dice.below(3_000) as u64),
        };
        self.tick_all();
    }

    pub(super) fn tick_all(&mut self) {
        for who in 0..REPLICAS {
            if self.replicas[who].is_frozen {
                continue;
            }
            let flights = &self.replicas[who].flights;
            let overdue: Vec<_> = flights
                .iter()
                .filter(|(_, flight)| flight.deadline <= self.now)
                .map(|(request, _)| *request)
                .collect();
            for request in overdue {
                if self
                    .endpoint
                    .lets_wait(&self.replicas[who].flights[&request].model)
                {
                    self.time_out(who, request);
                } else {
                    self.answer(who, request);
                }
            }
            self.step(who, Event::Tick);
        }
    }

    /// Once a second: what people want, and how much is undelivered.
    pub(super) fn look_out(&mut self, who: usize) {
        if self.replicas[who].is_frozen || self.store.is_down {
            return;
        }
        let partitions = self.replicas[who].engine.owned_partitions();
        self.replicas[who]
            .asked
            .push(Asked::ManualRetries(partitions.clone()));
        self.replicas[who].asked.push(Asked::Moved(partitions));
        self.count_partitions(who);
        self.note_partitions(who);
        let undelivered = self.store.undelivered().count() as u64;
        self.step(who, Event::Counted { undelivered });
        let paused = self.is_paused.then_some("they migrate");
        self.replicas[who].paused = paused;
        let words = paused.map(Into::into);
        self.step(who, Event::Paused { words });
        if let Some(at) = self.resumed_at {
            self.step(who, Event::Resumed { at });
        }
    }

    /// A replica hears how many partitions there are.
    pub(super) fn count_partitions(&mut self, who: usize) {
        let topics = self.topics.counts();
        self.step(who, Event::PartitionsCounted { topics });
    }

    /// The store has noted that, and says since when.
    pub(super) fn note_partitions(&mut self, who: usize) {
        for (topic, change) in self.topics.changes(self.now) {
            self.step(who, Event::PartitionsNoted { topic, change });
        }
    }

    /// Nobody has waited until the records of before were delivered: what happens to those keys can only be followed to the
    /// end, not on the way.
    fn grow(&mut self) {
        let model = self.dice.pick(&["Vehicle", "Driver"]);
        if !self.topics.grow(model, self.now) {
            return;
        }
        self.say(|| format!("the topic of {model} gets more partitions"));
        for key in self.topics.keys().iter().filter(|key| key.model == model) {
            if Topics::was_at(key).is_some() {
                let key_hash = key.delivery_id(0).key_hash;
                self.accounts.lose_count_of_key(key_hash);
                self.store.moved_keys.insert(key_hash);
                for replica in &mut self.replicas {
                    replica.floors.remove(&key.name);
                    // Whatever is on its way is of before.
                    replica.let_go_of(&key.name);
                }
            }
        }
    }

    /// Whoever ends a pause does not say anything of versions.
    pub(super) fn person_resumes(&mut self) {
        self.say(|| "a person lets the destination go on".into());
        if !std::mem::take(&mut self.is_paused) {
            self.resumed_at = Some(self.wall());
        }
    }

    fn person_retries(&mut self, who: usize) {
        let wall = self.moment(who).wall;
        if self.store.is_down {
            return;
        }
        if let Some(id) = self.store.retry_any(&mut self.dice, wall) {
            self.say(|| format!("a person retries {id}"));
            self.accounts.lose_count_of(id);
        }
    }
}
