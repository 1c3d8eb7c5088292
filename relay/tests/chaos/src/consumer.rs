//! A destination's consumer: a table guarded by version, as the shipped receiver keeps one, behind an endpoint that
//! misbehaves in every way.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use relay_test_support::stub_server::{Answer, Request};
use serde_json::Value;

use crate::dice::dice_of;
use crate::plan::Weather;
use crate::writer::{self, POISON_RECORD, POISON_SUSPECT};

/// What an answer takes at least.
const USUAL: Duration = Duration::from_millis(10);
const SLOW: Duration = Duration::from_millis(600);

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

    /// What is said to a request, and what becomes of its record.
    pub fn answer(&self, request: &Request, are_poisoned: bool) -> Answer {
        let mut state = self.lock();
        state.check(request);
        if are_poisoned && let Some(status) = poison_status(request) {
            return Answer::status(status).after(USUAL);
        }
        match (state.weather, state.is_well) {
            (Some(weather), _) => state.in_bad_weather(weather, request),
            (None, true) => state.take(request).after(USUAL),
            (None, false) => state.as_usual(request, self.seed),
        }
    }
}

/// Keys that are refused whatever the weather.
fn poison_status(request: &Request) -> Option<u16> {
    let key = request.key();
    if key.starts_with(POISON_SUSPECT) {
        Some(500)
    } else if key.starts_with(POISON_RECORD) {
        Some(424)
    } else {
        None
    }
}

impl State {
    /// As the shipped receiver: an older version changes nothing, an equal one was applied before.
    fn take(&mut self, request: &Request) -> Answer {
        let (key, version) = (request.stream_key(), request.version());
        let held = self.rows.get(&key).map(|row| row.version);
        match held {
            Some(held) if held > version => {
                let said = format!(r#"{{"status":"stale","version":{held}}}"#);
                return Answer::status(200).json(&said);
            }
            Some(held) if held == version => {}
            _ => {
                let attributes = request.json()["attributes"].take();
                let attributes = (!attributes.is_null()).then_some(attributes);
                self.rows.insert(
                    key,
                    Row {
                        version,
                        attributes,
                    },
                );
            }
        }
        Answer::ok()
    }

    fn in_bad_weather(&mut self, weather: Weather, request: &Request) -> Answer {
        match weather {
            Weather::Error500 => Answer::status(500).after(USUAL),
            Weather::Unavailable => Answer::status(503).after(USUAL),
            Weather::Throttling => throttled(),
            Weather::Unauthorized => Answer::status(401).after(USUAL),
            Weather::Silent => Answer::silent(),
            Weather::Slow => self.take(request).after(SLOW),
        }
    }

    /// Nine of ten are taken; for the rest each kind of trouble has its share. The same for the same attempt.
    fn as_usual(&mut self, request: &Request, seed: u64) -> Answer {
        let attempt = format!(
            "{}/{}",
            request.id(),
            request.header("replicates-to-attempt")
        );
        let share = dice_of(seed, &attempt).below(1_000);
        let answer = match share {
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
                self.take(request);
                Answer::cut()
            }
            55..57 => {
                self.take(request);
                Answer::status(200).body(vec![b'x'; HUGE])
            }
            57..62 => {
                self.take(request);
                Answer::status(200).json("{\"status\": what?")
            }
            62..75 => return self.take(request).after(SLOW),
            _ => self.take(request),
        };
        answer.after(USUAL)
    }

    fn check(&mut self, request: &Request) {
        let (key, version) = (request.stream_key(), request.version());
        let said = &request.json()["attributes"];
        let is_delete = request.header("replicates-to-operation") == "delete";
        let expected = writer::attributes(&key, version, is_delete);
        if *said != expected {
            self.wrong
                .push(format!("{key} version {version} was sent as {said}"));
        }
    }
}

fn throttled() -> Answer {
    Answer::status(429).header("retry-after", "1").after(USUAL)
}
