//! Configurations of a running relay: each turn is another one, which it is told of in one of three ways.

use std::path::PathBuf;
use std::time::Duration;

use relay_test_support::relay::RelayConfig;

use crate::checks::attempts::MAX_RETRIES;
use crate::dice::Dice;
use crate::plan::DESTINATIONS;

/// The shortest `timeout` of a turn. A request that is not answered is surely under way for half of it.
pub const TIMEOUT: Duration = Duration::from_secs(2);

/// Every turn tries again as often: attempts are counted against one budget.
const RETRY: &str = "base = \"100ms\", factor = 1.5, cap = \"1s\", retry_after_max = \"1s\"";

/// What a relay works by until the next turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    concurrency: usize,
    timeout: Duration,
    in_place: usize,
    /// Of the destination that takes batches; 1: each record has its own request.
    records_max: usize,
    /// Whether each of [`DESTINATIONS`] is served. One that is not is drained; another relay may get its partitions.
    are_served: [bool; DESTINATIONS.len()],
    pub told: Told,
}

/// How a relay hears of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// SIGHUP.
    Signal,
    /// `POST /api/v1/config/reload`.
    Request,
    /// It looks at its file now and then.
    File,
}

impl Turn {
    /// By which everything begins and ends.
    pub const FIRST: Self = Self {
        concurrency: 16,
        timeout: TIMEOUT,
        in_place: 2,
        records_max: 6,
        are_served: [true; DESTINATIONS.len()],
        told: Told::Request,
    };

    pub fn draw(dice: &mut Dice) -> Self {
        Self {
            concurrency: dice.pick(&[2, 8, 16, 32]),
            timeout: TIMEOUT + dice.pick(&[Duration::ZERO, Duration::from_secs(1)]),
            in_place: dice.below(3),
            records_max: dice.pick(&[1, 2, 6, 20]),
            are_served: DESTINATIONS.map(|_| !dice.happens(20)),
            told: dice.pick(&[Told::Signal, Told::Request, Told::File]),
        }
    }
}

/// What of a relay's configuration never changes.
#[derive(Debug, Clone)]
pub struct Draft {
    pub name: &'static str,
    pub base: RelayConfig,
    /// One for each of [`DESTINATIONS`].
    pub urls: Vec<String>,
    /// Holds the number of its life, which every request says.
    pub life_file: PathBuf,
}

impl Draft {
    pub fn of_turn(&self, turn: &Turn) -> RelayConfig {
        let Turn {
            concurrency,
            in_place,
            are_served,
            ..
        } = turn;
        let (name, life) = (self.name, self.life_file.display());
        let timeout = turn.timeout.as_millis();
        let destinations = DESTINATIONS.iter().zip(&self.urls).zip(are_served);
        let served = destinations.filter(|(_, is_served)| **is_served);
        served.fold(self.base.clone(), |config, ((destination, url), _)| {
            let records_max = if *destination == IN_BATCHES {
                turn.records_max
            } else {
                1
            };
            let lines = format!(
                "concurrency = {concurrency}\ntimeout = \"{timeout}ms\"\nlog_body = \"none\"\n\
                 headers = {{ \"x-relay\" = {name:?}, \"x-life\" = \"file:{life}\" }}\n\
                 retry = {{ max_retries = {MAX_RETRIES}, in_place = {in_place}, {RETRY} }}\n\
                 breaker = {{ window = \"5s\", open_base = \"200ms\", open_cap = \"1s\" }}\n\
                 batch = {{ max_records = {records_max}, max_wait = \"50ms\" }}"
            );
            config.destination(destination, url, &lines)
        })
    }
}

/// The destination that takes batches.
const IN_BATCHES: &str = DESTINATIONS[1];
