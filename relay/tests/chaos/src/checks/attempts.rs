//! Every attempt counts once: what the endpoints saw, what the log says and what the store charged agree.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::evidence::{Evidence, Logged, Sent, Undelivered};
use crate::lives::Life;

/// `retry.max_retries` of every destination.
pub const MAX_RETRIES: u32 = 8;

/// A request that left so long before another one that is in the log must be in it, too: both have ended, and batches are
/// written one after the other.
const SETTLED_AFTER: i64 = 5_000_000;

/// Delivery, which request of it, and relay.
type Attempt<'a> = (&'a str, Which<'a>, &'a str);

/// A request of one record says which attempt it is; one of several has a name that it has again when it is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Which<'a> {
    Attempt(u32),
    Batch(&'a str),
}

impl<'a> Which<'a> {
    fn of(attempt: u32, batch: Option<&'a String>) -> Self {
        batch.map_or(Self::Attempt(attempt), |batch| Self::Batch(batch))
    }
}

/// An attempt of a delivery is made again only by one who could not know of it. Says how many were, and what is wrong.
pub fn repeated(evidence: &Evidence) -> (usize, Vec<String>) {
    let mut by_attempt: HashMap<(&str, u32), Vec<&Sent>> = HashMap::new();
    for sent in evidence.sent.iter().filter(|sent| sent.attempt > 0) {
        by_attempt
            .entry((&sent.id, sent.attempt))
            .or_default()
            .push(sent);
    }
    let (mut explained, mut wrong) = (0, vec![]);
    for sent in by_attempt.values_mut() {
        sent.sort_by_key(|sent| sent.arrived);
        for pair in sent.windows(2) {
            let is_explained = evidence.was_forgotten(pair[0], pair[1].at)
                || evidence.was_deaf(pair[1])
                || evidence.was_counted_by_two(pair[0], pair[1].at);
            if is_explained {
                explained += 1;
            } else {
                wrong.push(format!("{}, again as {}", pair[0].name(), pair[1].name()));
            }
        }
    }
    (explained, wrong)
}

/// Requests that are not in the log, though their sender had the time to write them down; and rows without a request.
pub fn unlogged(evidence: &Evidence) -> Vec<String> {
    let mut rows: HashMap<Attempt<'_>, (usize, usize)> = HashMap::new();
    for row in evidence.logged.iter().filter(|row| row.attempt > 0) {
        let which = Which::of(row.attempt, row.batch.as_ref());
        let counts = rows.entry((&row.id, which, &row.relay)).or_default();
        counts.0 += 1;
        counts.1 += usize::from(row.status.is_some());
    }
    let mut requests: HashMap<Attempt<'_>, Vec<&Sent>> = HashMap::new();
    for sent in &evidence.sent {
        let which = Which::of(sent.attempt, sent.batch.as_ref());
        requests
            .entry((&sent.id, which, &sent.relay))
            .or_default()
            .push(sent);
    }
    let horizons = horizons(evidence);
    let mut wrong = vec![];
    for (name, sent) in &requests {
        let (logged, _) = rows.get(name).copied().unwrap_or_default();
        let excused = sent
            .iter()
            .filter(|sent| may_be_unlogged(sent, &horizons))
            .count();
        if sent.len() > logged + excused {
            wrong.push(format!("{} was sent and never logged", sent[0].name()));
        }
    }
    for (name, (_, answered)) in &rows {
        let sent = requests.get(name).map_or(0, Vec::len);
        if *answered > sent {
            wrong.push(format!(
                "{name:?} was logged as answered {answered} times, and sent {sent}"
            ));
        }
    }
    wrong
}

/// For each life that ended without a word: when the last request left that it wrote down.
fn horizons(evidence: &Evidence) -> HashMap<(&str, u32), i64> {
    let sudden = |life: &&Life| {
        life.end
            .as_ref()
            .is_some_and(|(at, _)| life.died_suddenly(*at))
    };
    let last_of = |life: &Life| {
        let end = life.end.as_ref().map_or(i64::MAX, |(at, _)| at.0);
        let is_its = |row: &&Logged| {
            row.attempt > 0
                && row.relay == life.relay
                && (life.born.0..=end).contains(&row.attempted_at.0)
        };
        let rows = evidence.logged.iter().filter(is_its);
        rows.map(|row| row.attempted_at.0).max()
    };
    let lives = evidence.lives.iter().filter(sudden);
    lives
        .map(|life| {
            let name = (life.relay.as_str(), life.number);
            (name, last_of(life).unwrap_or(0))
        })
        .collect()
}

fn may_be_unlogged(sent: &Sent, horizons: &HashMap<(&str, u32), i64>) -> bool {
    horizons
        .get(&(sent.relay.as_str(), sent.life))
        .is_some_and(|horizon| sent.at.0 + SETTLED_AFTER > *horizon)
}

/// Undelivered records whose counts are not those of the log, or beyond the budget; and deliveries beyond it. Where two
/// relays worked for one partition nobody can say.
pub fn miscounted(evidence: &Evidence) -> Vec<String> {
    let unclear: HashSet<_> = evidence
        .sent
        .iter()
        .filter(|sent| evidence.was_deaf(sent))
        .map(|sent| sent.id.as_str())
        .collect();
    let mut by_id: HashMap<&str, BTreeMap<u32, &Logged>> = HashMap::new();
    let mut rows: Vec<_> = evidence
        .logged
        .iter()
        .filter(|row| row.attempt > 0)
        .collect();
    rows.sort_by_key(|row| row.attempted_at);
    for row in rows
        .into_iter()
        .filter(|row| !unclear.contains(row.id.as_str()))
    {
        // Of an attempt that a dead relay made before, too, the last one counts.
        by_id.entry(&row.id).or_default().insert(row.attempt, row);
    }
    let companies = Companies::of(evidence);
    let beyond = by_id.iter().filter_map(|(id, attempts)| {
        let is_refused = |row: &&&Logged| companies.fault(row) == Fault::Record;
        let refused = attempts.values().filter(is_refused).count();
        (refused > budget()).then(|| {
            format!(
                "{id} was refused {refused} times: {}",
                names(attempts.values().copied())
            )
        })
    });
    let none = BTreeMap::new();
    let miscounted = evidence
        .undelivered
        .iter()
        .filter(|row| !unclear.contains(row.id.as_str()))
        .filter_map(|row| {
            let logged = by_id.get(row.id.as_str()).unwrap_or(&none);
            miscount(row, logged, &companies)
        });
    beyond.chain(miscounted).collect()
}

fn miscount(
    row: &Undelivered,
    logged: &BTreeMap<u32, &Logged>,
    companies: &Companies<'_>,
) -> Option<String> {
    let attempts: Vec<_> = logged
        .range(..=row.attempts)
        .map(|(_, logged)| *logged)
        .collect();
    let of = |wanted: Fault| {
        let faults = attempts.iter().map(|row| companies.fault(row));
        faults.filter(|fault| *fault == wanted).count()
    };
    let (records, suspects) = (of(Fault::Record), of(Fault::Suspect));
    let charged = usize::try_from(row.charged).unwrap();
    let is_exact = attempts.len() == usize::try_from(row.attempts).unwrap()
        && (records..=records + suspects).contains(&charged)
        && charged <= budget()
        && (row.state != "exhausted" || charged == budget());
    (!is_exact).then(|| {
        format!(
            "{row:?}: the log has {} of its attempts, {records} the record's fault and {suspects} perhaps: {}",
            attempts.len(),
            names(logged.values().copied())
        )
    })
}

/// For people.
fn names<'a>(rows: impl Iterator<Item = &'a Logged>) -> String {
    let names: Vec<_> = rows
        .map(|row| {
            let Logged {
                attempt,
                relay,
                status,
                error_class,
                attempted_at,
                ..
            } = row;
            format!(
                "{attempt} of {relay} at {}: {status:?} {error_class}",
                attempted_at.0
            )
        })
        .collect();
    names.join(", ")
}

fn budget() -> usize {
    usize::try_from(1 + MAX_RETRIES).unwrap()
}

/// Whose fault a failure was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    Record,
    /// The record's while the breaker is closed.
    Suspect,
    Endpoint,
}

/// How many records each batch had.
struct Companies<'a>(HashMap<&'a str, usize>);

impl<'a> Companies<'a> {
    fn of(evidence: &'a Evidence) -> Self {
        let mut logged: HashMap<&str, HashSet<&str>> = HashMap::new();
        for row in &evidence.logged {
            if let Some(batch) = &row.batch {
                logged.entry(batch).or_default().insert(&row.id);
            }
        }
        let mut sizes: HashMap<_, _> = logged
            .into_iter()
            .map(|(batch, ids)| (batch, ids.len()))
            .collect();
        // A relay that was killed may have written down a part of one.
        let sent = evidence.sent.iter();
        sizes.extend(sent.filter_map(|sent| Some((sent.batch.as_deref()?, sent.company))));
        Self(sizes)
    }

    fn fault(&self, row: &Logged) -> Fault {
        let is_alone = row
            .batch
            .as_ref()
            .is_none_or(|batch| self.0.get(batch.as_str()).is_none_or(|size| *size == 1));
        match fault(row) {
            // Said of this record, in an answer that speaks of each.
            Fault::Record if row.status == Some(200) => Fault::Record,
            // Nobody pays for what may be a neighbour's fault.
            Fault::Record | Fault::Suspect if !is_alone => Fault::None,
            fault => fault,
        }
    }
}

/// Whose fault it is when the record is alone in its request.
fn fault(row: &Logged) -> Fault {
    let words = (
        row.outcome.as_str(),
        row.error_class.as_str(),
        row.status.unwrap_or(0),
    );
    match words {
        ("retryable", _, 424 | 413) | ("retryable", "http_4xx" | "batch_result_missing", 200) => {
            Fault::Record
        }
        ("retryable", "connect", _) | ("retryable", _, 401 | 429 | 503) => Fault::Endpoint,
        ("retryable", ..) => Fault::Suspect,
        _ => Fault::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::samples::{evidence, life, logged, sent, undelivered};

    fn refused(attempts: u32) -> Vec<Logged> {
        let row = |attempt| Logged {
            status: Some(424),
            ..logged("a", 1, attempt, "retryable")
        };
        (1..=attempts).map(row).collect()
    }

    #[test]
    fn an_attempt_made_twice_is_wrong_unless_the_first_ones_sender_is_dead() {
        let mut evidence = evidence(&[("a", 1)]);
        evidence.sent = vec![sent("a", 1, "relay-1", 10), sent("a", 1, "relay-2", 20)];
        evidence.lives = vec![life("relay-1", None), life("relay-2", None)];
        assert_eq!(repeated(&evidence).1.len(), 1);
        evidence.lives = vec![life("relay-1", Some(15)), life("relay-2", None)];
        assert_eq!(repeated(&evidence), (1, vec![]));
    }

    #[test]
    fn a_request_that_a_living_relay_did_not_log_is_wrong_and_so_is_a_row_without_a_request() {
        let mut evidence = evidence(&[("a", 1)]);
        evidence.sent = vec![sent("a", 1, "relay-1", 10)];
        evidence.lives = vec![life("relay-1", None)];
        assert_eq!(unlogged(&evidence).len(), 1);
        evidence.lives = vec![life("relay-1", Some(11))];
        assert!(unlogged(&evidence).is_empty());
        evidence.logged = vec![logged("a", 1, 2, "delivered")];
        assert_eq!(unlogged(&evidence).len(), 1);
    }

    #[test]
    fn a_killed_relay_had_the_time_to_log_what_came_long_before_the_last_that_it_logged() {
        let mut evidence = evidence(&[("a", 1), ("b", 2)]);
        evidence.sent = vec![sent("a", 1, "relay-1", 10), sent("b", 2, "relay-1", 30)];
        let mut row = logged("b", 2, 1, "delivered");
        row.attempted_at = evidence.sent[1].at;
        evidence.logged = vec![row];
        evidence.lives = vec![life("relay-1", Some(31))];
        assert_eq!(unlogged(&evidence).len(), 1);
    }

    #[test]
    fn nobody_pays_for_what_failed_in_company_unless_it_was_named() {
        let with = |charged: u32, status: u16| {
            let mut evidence = evidence(&[("a", 1)]);
            let row = |attempt, batch: &str, status: u16| Logged {
                batch: Some(batch.to_owned()),
                status: Some(status),
                error_class: "http_4xx".to_owned(),
                ..logged("a", 1, attempt, "retryable")
            };
            evidence.logged = vec![row(1, "bat_1", status), row(2, "bat_2", 424)];
            let mut together = sent("a", 1, "relay-1", 10);
            together.batch = Some("bat_1".to_owned());
            together.company = 3;
            evidence.sent = vec![together];
            evidence.undelivered = vec![Undelivered {
                state: "parked".to_owned(),
                charged,
                ..undelivered("a", 1, 2)
            }];
            miscounted(&evidence).len()
        };
        assert_eq!(with(1, 424), 0, "the first one was refused as a whole");
        assert_eq!(with(2, 424), 1);
        assert_eq!(with(2, 200), 0, "the first one named it");
        assert_eq!(with(1, 200), 1);
    }

    #[test]
    fn the_stores_counts_are_those_of_the_log_and_end_with_the_budget() {
        let budget = 1 + MAX_RETRIES;
        let with = |logged: u32, attempts: u32, charged: u32| {
            let mut evidence = evidence(&[("a", 1)]);
            evidence.logged = refused(logged);
            evidence.undelivered = vec![Undelivered {
                charged,
                ..undelivered("a", 1, attempts)
            }];
            miscounted(&evidence).len()
        };
        assert_eq!(with(budget, budget, budget), 0);
        assert_eq!(with(budget, budget, budget - 1), 1);
        assert_eq!(with(budget - 1, budget, budget), 1);
        assert_eq!(
            with(budget - 1, budget - 1, budget - 1),
            1,
            "exhausted too early"
        );
        assert_eq!(with(budget + 1, budget + 1, budget + 1), 2);
    }
}
