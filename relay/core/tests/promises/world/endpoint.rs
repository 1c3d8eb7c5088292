//! The consumer: what it answers, and what it holds. It has the version guard that the shipped receiver has.

use std::collections::BTreeMap;

use relay_core::exchange::{Answer, End, ErrorClass};
use relay_core::time::Timestamp;

use super::dice::Dice;

/// How the endpoint of a model is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    Well,
    /// Nobody listens.
    Down,
    /// 500 to everyone.
    Failing,
    /// 503, 404, 401: it is not the consumer that answers.
    Unavailable,
    /// 429 or 503 with a `Retry-After`.
    Throttling,
    /// It accepts and never answers.
    Slow,
    /// Every kind of answer, by chance.
    Mixed,
}

impl Weather {
    pub const BAD: [Self; 6] = [
        Self::Down,
        Self::Failing,
        Self::Unavailable,
        Self::Throttling,
        Self::Slow,
        Self::Mixed,
    ];
}

/// What happens to a key that the consumer cannot take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Poison {
    /// 500: whose fault that is, is unclear.
    Crashes,
    /// 409: the record's.
    Conflicts,
    /// 422: refused.
    Refused,
    /// It runs into the timeout.
    Hangs,
}

impl Poison {
    pub const ALL: [Self; 4] = [Self::Crashes, Self::Conflicts, Self::Refused, Self::Hangs];
}

/// What an answer means, said by who gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    Delivered,
    /// The consumer holds a newer version, which it may have named.
    Stale(Option<u64>),
    Refused,
    /// The record's fault.
    Record,
    Unclear,
    /// The endpoint's fault.
    Endpoint,
    /// The endpoint's fault beyond doubt.
    Unreachable,
}

/// The end of a request.
pub struct Reply {
    pub end: End,
    pub meaning: Meaning,
    /// For how long the consumer asks to be left alone.
    pub retry_after_seconds: Option<u64>,
    /// The record is applied only now that nobody waits for the answer.
    pub is_applied_late: bool,
}

#[derive(Default)]
pub struct Endpoint {
    weather: BTreeMap<String, Weather>,
    poison: BTreeMap<String, Poison>,
    /// The version of each key that the consumer holds.
    rows: BTreeMap<String, u64>,
    /// Versions that it said to be too old for it, the highest of each key.
    declined: BTreeMap<String, u64>,
    may_lie: bool,
}

impl Endpoint {
    pub fn new(poison: &[(String, Poison)], may_lie: bool) -> Self {
        Self {
            poison: poison.iter().cloned().collect(),
            may_lie,
            ..Self::default()
        }
    }

    pub fn set_weather(&mut self, model: &str, weather: Weather) {
        self.weather.insert(model.to_owned(), weather);
    }

    pub fn heal(&mut self) {
        self.weather.clear();
        self.may_lie = false;
    }

    pub fn cure_poison(&mut self) {
        self.poison.clear();
    }

    pub fn poison_of(&self, key: &str) -> Option<Poison> {
        self.poison.get(key).copied()
    }

    /// Whether a request would wait for its timeout.
    pub fn lets_wait(&self, model: &str) -> bool {
        self.weather_of(model) == Weather::Slow
    }

    fn weather_of(&self, model: &str) -> Weather {
        self.weather.get(model).copied().unwrap_or(Weather::Well)
    }

    /// Takes a version in, if it is newer than what is held.
    pub fn apply(&mut self, key: &str, version: u64) {
        let held = self.rows.entry(key.to_owned()).or_default();
        *held = version.max(*held);
    }

    /// The version of a key that it has; or a higher one below which it said to need none.
    pub fn version(&self, key: &str) -> u64 {
        let of = |of: &BTreeMap<String, u64>| of.get(key).copied().unwrap_or(0);
        of(&self.rows).max(of(&self.declined))
    }

    /// Ends a request.
    pub fn reply(
        &mut self,
        model: &str,
        key: &str,
        version: u64,
        wall: Timestamp,
        dice: &mut Dice,
    ) -> Reply {
        match self.weather_of(model) {
            Weather::Well => self.answer_of_its_own(key, version, dice),
            Weather::Down => unreachable_by(dice),
            Weather::Failing => answered(500, Meaning::Unclear),
            Weather::Unavailable => answered(dice.pick(&[503, 502, 404, 401]), Meaning::Endpoint),
            Weather::Throttling => throttled(wall, dice),
            Weather::Slow => self.time_out(key, version, dice),
            Weather::Mixed => match dice.below(16) {
                0..=7 => self.answer_of_its_own(key, version, dice),
                8 => answered(422, Meaning::Refused),
                9 => answered(409, Meaning::Record),
                10 => answered(503, Meaning::Endpoint),
                11 => self.time_out(key, version, dice),
                12 => unreachable_by(dice),
                13 => throttled(wall, dice),
                _ => answered(500, Meaning::Unclear),
            },
        }
    }

    fn answer_of_its_own(&mut self, key: &str, version: u64, dice: &mut Dice) -> Reply {
        match self.poison_of(key) {
            Some(Poison::Crashes) => return answered(500, Meaning::Unclear),
            Some(Poison::Conflicts) => return answered(409, Meaning::Record),
            Some(Poison::Refused) => return answered(422, Meaning::Refused),
            Some(Poison::Hangs) => return failed(ErrorClass::Timeout, Meaning::Unclear),
            None => {}
        }
        let held = self.rows.get(key).copied().unwrap_or(0);
        if self.may_lie && dice.happens(5) {
            let claimed = version + dice.below(3) as u64;
            return self.decline(key, version, claimed, dice);
        }
        if held > version {
            return self.decline(key, version, held, dice);
        }
        self.apply(key, version);
        answered(dice.pick(&[200, 200, 201, 204]), Meaning::Delivered)
    }

    /// It holds something newer: it says so with the version, without, or as if it had taken what came.
    fn decline(&mut self, key: &str, version: u64, held: u64, dice: &mut Dice) -> Reply {
        let declined = self.declined.entry(key.to_owned()).or_default();
        match dice.below(3) {
            0 => {
                *declined = held.max(*declined);
                let body = format!("{{\"status\":\"stale\",\"version\":{held}}}");
                let named = (held > version).then_some(held);
                with_body(dice.pick(&[200, 409]), &body, Meaning::Stale(named))
            }
            1 => {
                *declined = version.max(*declined);
                with_body(409, "{\"status\":\"stale\"}", Meaning::Stale(None))
            }
            _ => {
                *declined = version.max(*declined);
                answered(200, Meaning::Delivered)
            }
        }
    }

    /// The sender stops waiting; the consumer may have been done, may be done later, or never.
    pub fn time_out(&mut self, key: &str, version: u64, dice: &mut Dice) -> Reply {
        let class = dice.pick(&[ErrorClass::Timeout, ErrorClass::Timeout, ErrorClass::Reset]);
        let mut reply = failed(class, Meaning::Unclear);
        match dice.below(3) {
            0 if self.poison_of(key).is_none() => self.apply(key, version),
            1 => reply.is_applied_late = true,
            _ => {}
        }
        reply
    }
}

fn unreachable_by(dice: &mut Dice) -> Reply {
    let class = dice.pick(&[ErrorClass::Connect, ErrorClass::Dns, ErrorClass::Tls]);
    failed(class, Meaning::Unreachable)
}

fn throttled(wall: Timestamp, dice: &mut Dice) -> Reply {
    let seconds = dice.pick(&[1_u64, 7, 40]);
    let until = wall
        .checked_add(std::time::Duration::from_secs(seconds))
        .unwrap();
    let (text, at_least) = if dice.happens(50) {
        (seconds.to_string(), seconds)
    } else {
        // A date has no fractions of seconds.
        (
            until.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string(),
            seconds - 1,
        )
    };
    let (status, meaning) = dice.pick(&[
        (429, Meaning::Endpoint),
        (503, Meaning::Endpoint),
        (500, Meaning::Unclear),
    ]);
    let mut reply = answered(status, meaning);
    if let End::Answered(answer) = &mut reply.end {
        answer.headers.push(("retry-after".into(), text));
    }
    reply.retry_after_seconds = Some(at_least);
    reply
}

fn answered(status: u16, meaning: Meaning) -> Reply {
    with_body(status, "", meaning)
}

fn with_body(status: u16, body: &str, meaning: Meaning) -> Reply {
    let end = End::Answered(Answer {
        status,
        headers: vec![],
        body: body.as_bytes().to_vec(),
        is_truncated: false,
    });
    reply(end, meaning)
}

fn failed(class: ErrorClass, meaning: Meaning) -> Reply {
    let error = "failed".into();
    reply(End::Failed { class, error }, meaning)
}

fn reply(end: End, meaning: Meaning) -> Reply {
    Reply {
        end,
        meaning,
        retry_after_seconds: None,
        is_applied_late: false,
    }
}
