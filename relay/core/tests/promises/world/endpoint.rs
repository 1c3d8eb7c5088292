//! The consumer: what it answers, and what it holds. It has the version guard that the shipped receiver has.

use std::collections::BTreeMap;

use relay_core::exchange::{Answer, End, ErrorClass};
use relay_core::time::Timestamp;

use super::dice::Dice;
use super::replica::{Flight, Rider};
use super::rules::Rules;

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
    /// Some record's of a batch: nobody's, before each was tried with fewer others.
    Shared,
}

/// The end of a request.
pub struct Reply {
    pub end: End,
    /// For each of its records.
    pub meanings: Vec<Meaning>,
    /// For how long the consumer asks to be left alone.
    pub retry_after_seconds: Option<u64>,
    /// Keys and versions that are applied only now that nobody waits for the answer.
    pub applied_late: Vec<(String, u64)>,
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
    /// Records that it takes at once; none: requests carry one.
    batch_max: Option<usize>,
}

impl Endpoint {
    pub fn new(rules: &Rules) -> Self {
        Self {
            poison: rules.poison.iter().cloned().collect(),
            may_lie: rules.may_lie,
            batch_max: rules.knobs.batch.map(|batch| batch.digestible),
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
    pub fn reply(&mut self, flight: &Flight, wall: Timestamp, dice: &mut Dice) -> Reply {
        let riders = &flight.riders;
        let all = |answer| to_all(answer, riders.len());
        match self.weather_of(&flight.model) {
            Weather::Well => self.answer_of_its_own(riders, dice),
            Weather::Down => all(unreachable_by(dice)),
            Weather::Failing => all(answered(500, Meaning::Unclear)),
            Weather::Unavailable => all(answered(
                dice.pick(&[503, 502, 404, 401]),
                Meaning::Endpoint,
            )),
            Weather::Throttling => throttled(riders.len(), wall, dice),
            Weather::Slow => self.time_out(riders, dice),
            Weather::Mixed => match dice.below(16) {
                0..=7 => self.answer_of_its_own(riders, dice),
                8 => all(answered(422, Meaning::Refused)),
                9 => all(answered(409, Meaning::Record)),
                10 => all(answered(503, Meaning::Endpoint)),
                11 => self.time_out(riders, dice),
                12 => all(unreachable_by(dice)),
                13 => throttled(riders.len(), wall, dice),
                14 if self.batch_max.is_some() => self.babble(riders, dice),
                _ => all(answered(500, Meaning::Unclear)),
            },
        }
    }

    fn answer_of_its_own(&mut self, riders: &[Rider], dice: &mut Dice) -> Reply {
        let all = |answer| to_all(answer, riders.len());
        match (self.batch_max, riders) {
            (None, [rider]) => all(self.answer_to_one(rider, dice)),
            (Some(max), _) if riders.len() > max => all(answered(413, Meaning::Refused)),
            _ if dice.happens(50) => self.answer_by_record(riders, dice),
            _ => self.answer_as_a_whole(riders, dice),
        }
    }

    /// `{"results":[…]}`. What breaks the consumer breaks it half-way.
    fn answer_by_record(&mut self, riders: &[Rider], dice: &mut Dice) -> Reply {
        let (mut results, mut meanings) = (vec![], vec![]);
        for rider in riders {
            let (word, meaning) = match self.poison_of(&rider.key) {
                Some(poison @ (Poison::Crashes | Poison::Hangs)) => {
                    return to_all(poison.answer(), riders.len());
                }
                Some(Poison::Conflicts) => ("retry\"".to_owned(), Meaning::Record),
                Some(Poison::Refused) => ("rejected\"".to_owned(), Meaning::Refused),
                None => self.word_on(rider, dice),
            };
            if self.may_lie && dice.happens(5) {
                meanings.push(Meaning::Record);
                continue;
            }
            results.push(format!("{{\"id\":\"{}\",\"status\":\"{word}}}", rider.id));
            meanings.push(meaning);
        }
        let body = format!("{{\"results\":[{}]}}", results.join(","));
        Reply {
            meanings,
            ..to_all(with_body(200, &body, Meaning::Delivered), 0)
        }
    }

    /// The word on a record that is sound, the closing quote included.
    fn word_on(&mut self, rider: &Rider, dice: &mut Dice) -> (String, Meaning) {
        let version = rider.id.version;
        let held = self.held(&rider.key);
        if held <= version {
            self.apply(&rider.key, version);
            return ("applied\"".to_owned(), Meaning::Delivered);
        }
        if dice.happens(50) {
            self.decline_below(&rider.key, held);
            let word = format!("stale\",\"version\":{held}");
            return (word, Meaning::Stale(Some(held)));
        }
        self.decline_below(&rider.key, version);
        ("stale\"".to_owned(), Meaning::Stale(None))
    }

    /// One status for all, and nothing is applied where one record is wrong.
    fn answer_as_a_whole(&mut self, riders: &[Rider], dice: &mut Dice) -> Reply {
        let mut poisons = riders.iter().filter_map(|rider| self.poison_of(&rider.key));
        if let Some(poison) = poisons.next() {
            return to_all(poison.answer(), riders.len());
        }
        for rider in riders {
            if self.held(&rider.key) > rider.id.version {
                self.decline_below(&rider.key, rider.id.version);
            }
            self.apply(&rider.key, rider.id.version);
        }
        to_all(
            answered(dice.pick(&[200, 201, 204]), Meaning::Delivered),
            riders.len(),
        )
    }

    /// It may have applied some, and says nothing that can be read.
    fn babble(&mut self, riders: &[Rider], dice: &mut Dice) -> Reply {
        let mut reply = self.time_out(riders, dice);
        let body = dice.pick(&["{\"results\":[{", "{\"results\":3}", "[1,"]);
        reply.end = with_body(200, body, Meaning::Unclear).0;
        reply
    }

    fn answer_to_one(&mut self, rider: &Rider, dice: &mut Dice) -> (End, Meaning) {
        let (key, version) = (&rider.key, rider.id.version);
        if let Some(poison) = self.poison_of(key) {
            return poison.answer();
        }
        let held = self.held(key);
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

    /// The version that its row has, whatever it says.
    pub fn held(&self, key: &str) -> u64 {
        self.rows.get(key).copied().unwrap_or(0)
    }

    /// It says that it needs no version up to this.
    fn decline_below(&mut self, key: &str, version: u64) {
        let declined = self.declined.entry(key.to_owned()).or_default();
        *declined = version.max(*declined);
    }

    /// It holds something newer: it says so with the version, without, or as if it had taken what came.
    fn decline(&mut self, key: &str, version: u64, held: u64, dice: &mut Dice) -> (End, Meaning) {
        match dice.below(3) {
            0 => {
                self.decline_below(key, held);
                let body = format!("{{\"status\":\"stale\",\"version\":{held}}}");
                let named = (held > version).then_some(held);
                with_body(dice.pick(&[200, 409]), &body, Meaning::Stale(named))
            }
            1 => {
                self.decline_below(key, version);
                with_body(409, "{\"status\":\"stale\"}", Meaning::Stale(None))
            }
            _ => {
                self.decline_below(key, version);
                answered(200, Meaning::Delivered)
            }
        }
    }

    /// The sender stops waiting; the consumer may have been done, may be done later, or never.
    pub fn time_out(&mut self, riders: &[Rider], dice: &mut Dice) -> Reply {
        let class = dice.pick(&[ErrorClass::Timeout, ErrorClass::Timeout, ErrorClass::Reset]);
        let mut reply = to_all(failed(class, Meaning::Unclear), riders.len());
        for rider in riders {
            match dice.below(3) {
                0 if self.poison_of(&rider.key).is_none() => {
                    self.apply(&rider.key, rider.id.version);
                }
                1 => reply
                    .applied_late
                    .push((rider.key.clone(), rider.id.version)),
                _ => {}
            }
        }
        reply
    }
}

impl Poison {
    fn answer(self) -> (End, Meaning) {
        match self {
            Self::Crashes => answered(500, Meaning::Unclear),
            Self::Conflicts => answered(409, Meaning::Record),
            Self::Refused => answered(422, Meaning::Refused),
            Self::Hangs => failed(ErrorClass::Timeout, Meaning::Unclear),
        }
    }
}

fn unreachable_by(dice: &mut Dice) -> (End, Meaning) {
    let class = dice.pick(&[ErrorClass::Connect, ErrorClass::Dns, ErrorClass::Tls]);
    failed(class, Meaning::Unreachable)
}

fn throttled(riders: usize, wall: Timestamp, dice: &mut Dice) -> Reply {
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
    let mut reply = to_all(answered(status, meaning), riders);
    if let End::Answered(answer) = &mut reply.end {
        answer.headers.push(("retry-after".into(), text));
    }
    reply.retry_after_seconds = Some(at_least);
    reply
}

fn answered(status: u16, meaning: Meaning) -> (End, Meaning) {
    with_body(status, "", meaning)
}

fn with_body(status: u16, body: &str, meaning: Meaning) -> (End, Meaning) {
    let end = End::Answered(Answer {
        status,
        headers: vec![],
        body: body.as_bytes().to_vec(),
        is_truncated: false,
    });
    (end, meaning)
}

fn failed(class: ErrorClass, meaning: Meaning) -> (End, Meaning) {
    let error = "failed".into();
    (End::Failed { class, error }, meaning)
}

/// An answer that speaks of no record by itself.
fn to_all((end, meaning): (End, Meaning), riders: usize) -> Reply {
    let meaning = match meaning {
        Meaning::Refused | Meaning::Record if riders > 1 => Meaning::Shared,
        other => other,
    };
    Reply {
        end,
        meanings: vec![meaning; riders],
        retry_after_seconds: None,
        applied_late: vec![],
    }
}
