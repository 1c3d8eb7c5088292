//! What the endpoints saw, what the store says, and what the relays went through: all that the checks look at.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

use relay_test_support::database::Database;
use relay_test_support::history::Exchange;

use crate::carried::{Carried, batch_of, is_acknowledged};
use crate::eras::{Eras, Partition};
use crate::lives::Life;
use crate::moment::{Anchor, Moment};
use crate::services::{Absence, Service};
use crate::topics::Published;

/// How much the machine's two clocks may differ.
const CLOCKS: Duration = Duration::from_millis(5);

/// After an outage of Kafka, or after a pause of its own, a relay finds its coordinator within that time.
const HEARS_AGAIN: Duration = Duration::from_secs(15);

/// A record in a request as an endpoint saw it.
#[derive(Debug, Clone)]
pub struct Sent {
    pub destination: &'static str,
    /// Source, model and key.
    pub key: String,
    pub version: u64,
    pub id: String,
    /// Which attempt it says it is, or, of a batch, the log does; 0 where nobody wrote that down.
    pub attempt: u32,
    /// The batch that it was part of.
    pub batch: Option<String>,
    /// Records of the request.
    pub company: usize,
    pub relay: String,
    pub life: u32,
    pub at: Moment,
    /// Its place among all arrivals and answers at this endpoint, and that of its end.
    pub arrived: u64,
    pub ended: Option<u64>,
    pub ended_at: Option<Moment>,
    pub is_acknowledged: bool,
}

impl Sent {
    /// All records of a request.
    pub fn all_of(destination: &'static str, exchange: &Exchange, anchor: &Anchor) -> Vec<Self> {
        let request = &exchange.request;
        let number = |name| request.header(name).parse().unwrap_or(0);
        let records = Carried::all_of(request);
        let company = records.len();
        let sent = |record: Carried| Self {
            destination,
            key: record.stream_key,
            version: record.version,
            is_acknowledged: is_acknowledged(exchange, &record.id),
            id: record.id,
            attempt: number("replicates-to-attempt"),
            batch: batch_of(request).map(str::to_owned),
            company,
            relay: request.header("x-relay").to_owned(),
            life: number("x-life"),
            at: anchor.moment_of(request.received_at),
            arrived: exchange.arrived,
            ended: exchange.answered,
            ended_at: exchange.answered_at.map(|at| anchor.moment_of(at)),
        };
        records.into_iter().map(sent).collect()
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
    pub batch: Option<String>,
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
    /// When Kafka and PostgreSQL were away.
    pub away: Vec<Absence>,
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
        let Some(partition) = self.partition_of(sent) else {
            return false;
        };
        let was_away = |away: &Absence| {
            away.service == Service::Kafka
                && away.began <= sent.at
                && sent.at <= away.ended.plus(HEARS_AGAIN)
        };
        let is_lost = self.eras.was_lost(&sent.relay, partition, sent.at, sent.at);
        is_lost && self.away.iter().any(was_away)
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

    /// A batch does not say which attempts it makes: the log does, of those that its sender could write down.
    pub fn number_attempts(&mut self) {
        let mut rows: HashMap<_, Vec<&Logged>> = HashMap::new();
        for row in &self.logged {
            if let Some(batch) = &row.batch {
                let name = (row.id.as_str(), batch.as_str(), row.relay.as_str());
                rows.entry(name).or_default().push(row);
            }
        }
        for rows in rows.values_mut() {
            rows.sort_by_key(|row| Reverse(row.attempted_at));
        }
        let mut batched: Vec<_> = self.sent.iter_mut().collect();
        batched.sort_by_key(|sent| sent.at);
        for sent in batched {
            let Some(batch) = &sent.batch else { continue };
            let name = (sent.id.as_str(), batch.as_str(), sent.relay.as_str());
            let rows = rows.get_mut(&name);
            // It left before it arrived. One that was never written down leaves its predecessor's row alone.
            let its = rows.and_then(|rows| {
                let left = rows
                    .iter()
                    .position(|row| row.attempted_at <= sent.at.plus(CLOCKS))?;
                Some(rows.drain(left..).next()?.attempt)
            });
            sent.attempt = its.unwrap_or(0);
        }
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
        "select destination, {KEY}, version, {ID}, attempt, batch_id, outcome, status, error_class, replica,
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
            batch: row[5].clone(),
            outcome: text(6),
            status: row[7].as_ref().map(|status| status.parse().unwrap()),
            error_class: text(8),
            relay: text(9),
            attempted_at: Moment(number(10)),
            durable_at: Moment(number(11)),
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

#[cfg(test)]
mod tests {
    use crate::checks::samples::{evidence, logged, sent};

    #[test]
    fn the_log_says_which_attempt_of_a_record_a_batch_was() {
        let mut evidence = evidence(&[("a", 1)]);
        for (attempt, at) in [(0, 10), (0, 20), (0, 30)] {
            let mut sent = sent("a", 1, "relay-1", at);
            (sent.attempt, sent.batch) = (attempt, Some("bat_1".to_owned()));
            let mut row = logged("a", 1, u32::try_from(at / 10).unwrap(), "retryable");
            (row.batch, row.attempted_at) = (sent.batch.clone(), sent.at);
            evidence.sent.push(sent);
            evidence.logged.push(row);
        }
        evidence.logged.remove(1);
        evidence.number_attempts();
        let attempts: Vec<_> = evidence.sent.iter().map(|sent| sent.attempt).collect();
        assert_eq!(attempts, [1, 0, 3], "the second was not written down");
    }
}
