//! What the endpoints saw, what the store says, and what the relays went through: all that the checks look at.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use relay_test_support::database::Database;
use relay_test_support::history::Exchange;

use crate::eras::{Eras, Partition};
use crate::lives::Life;
use crate::moment::{Anchor, Moment};
use crate::topics::Published;

/// After an outage of Kafka a relay finds its coordinator within that time.
const HEARS_AGAIN: Duration = Duration::from_secs(15);

/// A request as an endpoint saw it.
#[derive(Debug, Clone)]
pub struct Sent {
    pub destination: &'static str,
    /// Source, model and key.
    pub key: String,
    pub version: u64,
    pub id: String,
    /// Which attempt it says it is.
    pub attempt: u32,
    pub relay: String,
    pub life: u32,
    pub at: Moment,
    /// Its place among all arrivals and answers at this endpoint, and that of its end.
    pub arrived: u64,
    pub ended: Option<u64>,
    /// None where it got no whole answer.
    pub status: Option<u16>,
}

impl Sent {
    pub fn of(destination: &'static str, exchange: &Exchange, anchor: &Anchor) -> Self {
        let request = &exchange.request;
        let number = |name| request.header(name).parse().unwrap_or(0);
        Self {
            destination,
            key: request.stream_key(),
            version: request.version(),
            id: request.id().to_owned(),
            attempt: number("replicates-to-attempt"),
            relay: request.header("x-relay").to_owned(),
            life: number("x-life"),
            at: anchor.moment_of(request.received_at),
            arrived: exchange.arrived,
            ended: exchange.answered,
            status: exchange.status,
        }
    }

    pub fn is_acknowledged(&self) -> bool {
        self.status
            .is_some_and(|status| (200..300).contains(&status))
    }

    /// For people.
    pub fn name(&self) -> String {
        let Self {
            destination,
            key,
            version,
            attempt,
            relay,
            life,
            at,
            ..
        } = self;
        format!(
            "{destination} {key} version {version}, attempt {attempt} of {relay} in life {life} at {}",
            at.0
        )
    }
}

/// A row of the log.
#[derive(Debug, Clone)]
pub struct Logged {
    pub destination: String,
    pub key: String,
    pub version: u64,
    pub id: String,
    /// 0 for an end without a request.
    pub attempt: u32,
    pub outcome: String,
    pub status: Option<u16>,
    pub error_class: String,
    pub relay: String,
    pub attempted_at: Moment,
    /// When its transaction was committed.
    pub durable_at: Moment,
}

/// A row of `parked`.
#[derive(Debug, Clone)]
pub struct Undelivered {
    pub destination: String,
    pub key: String,
    pub version: u64,
    pub id: String,
    pub state: String,
    pub attempts: u32,
    pub charged: u32,
}

/// Everything that is known of a run.
#[derive(Debug, Default)]
pub struct Evidence {
    pub published: Vec<Published>,
    pub sent: Vec<Sent>,
    pub logged: Vec<Logged>,
    pub undelivered: Vec<Undelivered>,
    pub lives: Vec<Life>,
    pub eras: Eras,
    /// When Kafka was away.
    pub kafka_away: Vec<(Moment, Moment)>,
    /// Where the keys of a destination are.
    pub partitions: HashMap<(String, String), Partition>,
}

impl Evidence {
    /// Whether the sender of a request lost what it knew of it before `until`: it was killed, stood still for too long,
    /// or was taken its partition away without a drain.
    pub fn was_forgotten(&self, sent: &Sent, until: Moment) -> bool {
        let life = self
            .lives
            .iter()
            .find(|life| life.relay == sent.relay && life.number == sent.life);
        let Some(life) = life else { return false };
        life.died_suddenly(until)
            || life.was_silent(sent.at, until)
            || self
                .partition_of(sent)
                .is_some_and(|partition| self.eras.was_lost(&sent.relay, partition, sent.at, until))
    }

    /// Whether a request was sent by one who had lost the partition and could not hear of it: Kafka was away, or had just
    /// come back. Only then may two relays work for one partition.
    pub fn was_deaf(&self, sent: &Sent) -> bool {
        let is_lost = self
            .partition_of(sent)
            .is_some_and(|of| self.eras.was_lost(&sent.relay, of, sent.at, sent.at));
        let was_away = |(began, ended): &(Moment, Moment)| {
            *began <= sent.at && sent.at <= ended.plus(HEARS_AGAIN)
        };
        is_lost && self.kafka_away.iter().any(was_away)
    }

    /// Whether another relay counted the attempts of a request's record, too, between this one and `until`: it had the
    /// partition before, and had not been heard to give it up.
    pub fn was_counted_by_two(&self, sent: &Sent, until: Moment) -> bool {
        self.partition_of(sent)
            .is_some_and(|partition| self.eras.was_shared(&sent.relay, partition, sent.at, until))
    }

    pub fn partition_of(&self, sent: &Sent) -> Option<&Partition> {
        self.partitions
            .get(&(sent.destination.to_owned(), sent.key.clone()))
    }

    /// The requests of each destination and key, in the order of their arrival.
    pub fn by_key(&self) -> HashMap<(&str, &str), Vec<&Sent>> {
        let mut by_key: HashMap<_, Vec<&Sent>> = HashMap::new();
        for sent in &self.sent {
            by_key
                .entry((sent.destination, sent.key.as_str()))
                .or_default()
                .push(sent);
        }
        for sent in by_key.values_mut() {
            sent.sort_by_key(|sent| sent.arrived);
        }
        by_key
    }

    /// Takes in what was published, and by that where the keys are.
    pub fn take_published(&mut self, published: &[Published]) {
        let places = published.iter().map(|record| {
            let name = (record.destination.to_owned(), record.key.clone());
            (name, record.partition.clone())
        });
        self.partitions = places.collect();
        self.published = published.to_vec();
    }
}

const ID: &str = "'dlv_' || replace(key_hash::text, '-', '') || '_' || version";
const KEY: &str = "source || '/' || model || '/' || key";

/// The whole log.
pub fn logged(database: &Database) -> Vec<Logged> {
    let sql = format!(
        "select destination, {KEY}, version, {ID}, attempt, outcome, status, error_class, replica,
           (extract(epoch from attempted_at) * 1000000)::bigint,
           (extract(epoch from pg_xact_commit_timestamp(xmin)) * 1000000)::bigint
         from attempts"
    );
    let rows = database.rows(&sql);
    let read = |row: Vec<Option<String>>| {
        let text = |column: usize| row[column].clone().unwrap_or_default();
        let number = |column: usize| text(column).parse().unwrap_or_default();
        Logged {
            destination: text(0),
            key: text(1),
            version: text(2).parse().unwrap(),
            id: text(3),
            attempt: text(4).parse().unwrap(),
            outcome: text(5),
            status: row[6].as_ref().map(|status| status.parse().unwrap()),
            error_class: text(7),
            relay: text(8),
            attempted_at: Moment(number(9)),
            durable_at: Moment(number(10)),
        }
    };
    rows.into_iter().map(read).collect()
}

/// All undelivered records.
pub fn undelivered(database: &Database) -> Vec<Undelivered> {
    let sql =
        format!("select destination, {KEY}, version, {ID}, state, attempts, charged from parked");
    let rows = database.rows(&sql);
    let read = |row: Vec<Option<String>>| {
        let text = |column: usize| row[column].clone().unwrap_or_default();
        Undelivered {
            destination: text(0),
            key: text(1),
            version: text(2).parse().unwrap(),
            id: text(3),
            state: text(4),
            attempts: text(5).parse().unwrap(),
            charged: text(6).parse().unwrap(),
        }
    };
    rows.into_iter().map(read).collect()
}

/// Deliveries that need nothing more: destination, key and version.
pub fn ended(logged: &[Logged]) -> HashSet<(&str, &str, u64)> {
    let is_end =
        |row: &&Logged| matches!(row.outcome.as_str(), "delivered" | "stale" | "superseded");
    logged
        .iter()
        .filter(is_end)
        .map(|row| (row.destination.as_str(), row.key.as_str(), row.version))
        .collect()
}
