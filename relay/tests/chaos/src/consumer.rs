//! A destination's consumer: a table guarded by version, as the shipped receiver keeps one, behind an endpoint that
//! misbehaves in every way.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use relay_test_support::stub_server::{Answer, Request};
use serde_json::{Value, json};

use crate::carried::{Carried, batch_of};
use crate::dice::{Dice, dice_of};
use crate::plan::Weather;
use crate::writer::{self, POISON_RECORD, POISON_SUSPECT};

/// What an answer takes at least.
const USUAL: Duration = Duration::from_millis(10);
const SLOW: Duration = Duration::from_millis(900);

/// What a relay reads of an answer is far less.
const HUGE: usize = 10 << 20;

/// A row of the consumer's table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub version: u64,
    /// None once the row was deleted.
    pub attributes: Option<Value>,
}

/// One destination's consumer.
#[derive(Debug)]
pub struct Consumer {
    seed: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    rows: HashMap<String, Row>,
    weather: Option<Weather>,
    is_well: bool,
    /// Requests whose attributes are not those of their version.
    wrong: Vec<String>,
}

impl Consumer {
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            state: Mutex::default(),
        }
    }

    pub fn set_weather(&self, weather: Option<Weather>) {
        self.lock().weather = weather;
    }

    /// From now on everything is taken, but for the keys that cannot be.
    pub fn recover(&self) {
        self.lock().is_well = true;
    }

    pub fn rows(&self) -> HashMap<String, Row> {
        self.lock().rows.clone()
    }

    pub fn wrong(&self) -> Vec<String> {
        self.lock().wrong.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// What is said to a request, and what becomes of its records.
    pub fn answer(&self, request: &Request, are_poisoned: bool) -> Answer {
        let asked = Asked {
            records: Carried::all_of(request),
            is_batch: batch_of(request).is_some(),
            name: format!("{}/{}", request.id(), request.attempt),
            are_poisoned,
        };
        let mut state = self.lock();
        state.check(&asked.records);
        if let Some(refused) = State::refuse(&asked, self.seed) {
            return refused.after(USUAL);
        }
        match (state.weather, state.is_well) {
            (Some(weather), _) => state.in_bad_weather(weather, &asked),
            (None, true) => state.take(&asked).after(USUAL),
            (None, false) => state.as_usual(&asked, self.seed),
        }
    }
}

/// A request, read.
struct Asked {
    records: Vec<Carried>,
    is_batch: bool,
    /// What is thrown for it is the same whenever it comes as often.
    name: String,
    are_poisoned: bool,
}

impl Asked {
    /// The status with which a record is refused whatever the weather.
    fn poison_status(&self, record: &Carried) -> Option<u16> {
        if !self.are_poisoned {
            None
        } else if record.key().starts_with(POISON_SUSPECT) {
            Some(500)
        } else if record.key().starts_with(POISON_RECORD) {
            Some(424)
        } else {
            None
        }
    }
}

/// Larger batches are refused as they are.
const BATCH_MAX: usize = 8;

impl State {
    /// What no weather changes: a batch that is too large, and a key that cannot be taken. Of a batch some consumers say
    /// which that is; others refuse it as a whole.
    fn refuse(asked: &Asked, seed: u64) -> Option<Answer> {
        if asked.records.len() > BATCH_MAX {
            return Some(Answer::status(413));
        }
        let status = |record| asked.poison_status(record);
        let poison = asked.records.iter().find_map(status)?;
        let speaks_of_each = asked.is_batch && dice_of(seed, &asked.name).happens(50);
        (!speaks_of_each).then(|| Answer::status(poison))
    }

    /// As the shipped receiver: an older version changes nothing, an equal one was applied before.
    fn take(&mut self, asked: &Asked) -> Answer {
        let mut results = vec![];
        for record in &asked.records {
            let said = match asked.poison_status(record) {
                Some(_) => json!({"status": "retry"}),
                None => self.apply(record),
            };
            results.push((record, said));
        }
        if asked.is_batch {
            answer_each(results)
        } else {
            Answer::status(200).json(&results[0].1.to_string())
        }
    }

    fn apply(&mut self, record: &Carried) -> Value {
        let held = self.rows.get(&record.stream_key).map(|row| row.version);
        if let Some(held) = held.filter(|held| *held > record.version) {
            return json!({"status": "stale", "version": held});
        }
        if held != Some(record.version) {
            let attributes = Some(record.attributes.clone());
            let row = Row {
                version: record.version,
                attributes: attributes.filter(|attributes| !attributes.is_null()),
            };
            self.rows.insert(record.stream_key.clone(), row);
        }
        json!({"status": "applied"})
    }

    fn in_bad_weather(&mut self, weather: Weather, asked: &Asked) -> Answer {
        match weather {
            Weather::Error500 => Answer::status(500).after(USUAL),
            Weather::Unavailable => Answer::status(503).after(USUAL),
            Weather::Throttling => throttled(),
            Weather::Unauthorized => Answer::status(401).after(USUAL),
            Weather::Silent => Answer::silent(),
            Weather::Slow => self.take(asked).after(SLOW),
        }
    }

    /// Most are taken; for the rest each kind of trouble has its share. The same for the same attempt.
    fn as_usual(&mut self, asked: &Asked, seed: u64) -> Answer {
        let mut dice = dice_of(seed, &asked.name);
        let answer = match dice.below(1_000) {
            0..10 => Answer::status(500),
            10..20 => Answer::status(424),
            20..26 => Answer::status(422),
            26..29 => Answer::status(503),
            29..30 => return throttled(),
            30..33 => Answer::silent(),
            33..36 => Answer::dripping(),
            36..41 => Answer::broken_off(),
            41..45 => Answer::rubbish(),
            45..50 => Answer::cut(),
            // The consumer has the record, but nobody hears of it.
            50..55 => {
                self.take(asked);
                Answer::cut()
            }
            55..57 => {
                self.take(asked);
                Answer::status(200).body(vec![b'x'; HUGE])
            }
            57..62 => {
                self.take(asked);
                Answer::status(200).json("{\"status\": what?")
            }
            // Whenever a partition changes hands something of it is under way.
            62..130 => return self.take(asked).after(SLOW),
            130..200 if asked.is_batch => self.take_some(asked, &mut dice),
            _ => self.take(asked),
        };
        answer.after(USUAL)
    }

    /// Of a batch one record here and there is refused, or forgotten.
    fn take_some(&mut self, asked: &Asked, dice: &mut Dice) -> Answer {
        let mut results = vec![];
        for record in &asked.records {
            let said = match dice.below(6) {
                0 => json!({"status": "retry", "error": "locked"}),
                1 if dice.happens(20) => json!({"status": "rejected", "error": "blank"}),
                2 => continue,
                _ if asked.poison_status(record).is_some() => json!({"status": "retry"}),
                _ => self.apply(record),
            };
            results.push((record, said));
        }
        answer_each(results)
    }

    fn check(&mut self, records: &[Carried]) {
        for record in records {
            let (key, version) = (&record.stream_key, record.version);
            let expected = writer::attributes(key, version, record.is_delete);
            if record.attributes != expected {
                let said = &record.attributes;
                self.wrong
                    .push(format!("{key} version {version} was sent as {said}"));
            }
        }
    }
}

fn answer_each(results: Vec<(&Carried, Value)>) -> Answer {
    let results = results.into_iter().map(|(record, mut said)| {
        said["id"] = json!(record.id);
        said
    });
    let results: Vec<_> = results.collect();
    Answer::status(200).json(&json!({ "results": results }).to_string())
}

fn throttled() -> Answer {
    Answer::status(429).header("retry-after", "1").after(USUAL)
}
