//! While everything goes wrong: every offset that is committed is explained, by a row of the log or of `parked`.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use relay_test_support::database::Database;

use crate::eras::Partition;
use crate::topics::{Published, Topics};

const LOOK_EVERY: Duration = Duration::from_millis(1_500);

/// How far the commits were looked at, and what is wrong with them.
#[derive(Debug, Default)]
pub struct Watch {
    /// Positions in [`Topics::published`] that a commit has not passed yet.
    open: Vec<usize>,
    taken: usize,
    pub looks: usize,
    pub explained: usize,
    pub unexplained: Vec<String>,
}

impl Watch {
    /// Looks again and again until it is over.
    pub fn go_on(&mut self, topics: &mut Topics, database: &Database, is_over: &AtomicBool) {
        while !is_over.load(Ordering::Relaxed) {
            thread::sleep(LOOK_EVERY);
            // While Kafka or PostgreSQL is away there is nothing to see.
            let _ = self.look(topics, database);
        }
    }

    /// Compares what is committed with what the store knows. None while one of both is away. Offsets first: what they pass
    /// was durable before.
    pub fn look(
        &mut self,
        topics: &mut Topics,
        database: &Database,
    ) -> Option<HashMap<Partition, i64>> {
        let committed = topics.committed().ok()?;
        topics.read_to_the_end().ok().filter(|is_all| *is_all)?;
        self.open.extend(self.taken..topics.published.len());
        self.taken = topics.published.len();
        let is_passed = |position: &usize| {
            let record = &topics.published[*position];
            committed
                .get(&record.partition)
                .is_some_and(|next| *next > record.offset)
        };
        let (passed, open): (Vec<_>, Vec<_>) = self.open.iter().copied().partition(is_passed);
        let records: Vec<_> = passed
            .iter()
            .map(|position| &topics.published[*position])
            .collect();
        let known = known(database, &records)?;
        self.open = open;
        self.looks += 1;
        for record in records {
            if known.contains(&(record.partition.clone(), record.offset)) {
                self.explained += 1;
            } else {
                self.unexplained.push(format!(
                    "offset {} of {:?} was committed: {} version {}",
                    record.offset, record.partition, record.key, record.version
                ));
            }
        }
        Some(committed)
    }
}

/// Which of the records the store knows to have ended, or to be undelivered.
fn known(database: &Database, records: &[&Published]) -> Option<HashSet<(Partition, i64)>> {
    let mut firsts: HashMap<&Partition, i64> = HashMap::new();
    for record in records {
        let first = firsts.entry(&record.partition).or_insert(record.offset);
        *first = record.offset.min(*first);
    }
    let mut wanted = String::from("false");
    for ((topic, number), first) in firsts {
        write!(
            wanted,
            " or (topic = '{topic}' and partition_number = {number} and offset_number >= {first})"
        )
        .unwrap();
    }
    let sql = format!(
        "select distinct topic, partition_number, offset_number from attempts
         where outcome in ('delivered', 'stale', 'superseded', 'discarded') and ({wanted})
         union select topic, partition_number, offset_number from parked where {wanted}"
    );
    let rows = database.rows_unless_down(&sql).ok()?;
    let read = |row: Vec<Option<String>>| {
        let mut row = row.into_iter().flatten();
        let (topic, number, offset) = (row.next()?, row.next()?, row.next()?);
        Some(((topic, number.parse().ok()?), offset.parse().ok()?))
    };
    rows.into_iter().map(read).collect()
}
