//! Who owned which partition since when, as the relays say in their output.

use std::collections::HashMap;

use serde_json::Value;

use crate::moment::Moment;

/// Changes of a group that are closer to each other are one rebalance.
const ONE_REBALANCE: i64 = 500_000;

/// A former owner may hear of its loss later than the new one begins.
const HEARS_LATE: i64 = 15_000_000;

/// What a relay had handed to the store may be written so long after it has heard that it lost a partition.
const WRITES_LATE: i64 = 5_000_000;

/// Topic and number.
pub type Partition = (String, i32);

/// What was assigned to which relay, and what it lost.
#[derive(Debug, Default)]
pub struct Eras {
    assigned: HashMap<(String, Partition), Vec<Moment>>,
    lost: HashMap<(String, Partition), Vec<Moment>>,
    /// Group and moment of every change.
    changes: Vec<(String, Moment)>,
}

impl Eras {
    /// Takes in what a relay has printed.
    pub fn read(&mut self, relay: &str, output: &str) {
        let lines = output
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        for line in lines {
            self.read_line(relay, &line);
        }
    }

    fn read_line(&mut self, relay: &str, line: &Value) -> Option<()> {
        let at = Moment::parse(line["timestamp"].as_str()?)?;
        let is_assigned = match line["message"].as_str()? {
            "partitions assigned" => true,
            "partitions revoked" => false,
            _ => return None,
        };
        let names: Vec<String> = serde_json::from_str(line["partitions"].as_str()?).ok()?;
        if names.is_empty() {
            return None;
        }
        self.changes.push((line["group"].as_str()?.to_owned(), at));
        let table = if is_assigned {
            &mut self.assigned
        } else if line["is_lost"] == true {
            &mut self.lost
        } else {
            return None;
        };
        for name in names {
            let (topic, number) = name.rsplit_once('/')?;
            let partition = (topic.to_owned(), number.parse().ok()?);
            table
                .entry((relay.to_owned(), partition))
                .or_default()
                .push(at);
        }
        Some(())
    }

    /// When the relay was last given the partition, before `at`.
    pub fn began(&self, relay: &str, partition: &Partition, at: Moment) -> Option<Moment> {
        let assigned = self.assigned.get(&(relay.to_owned(), partition.clone()))?;
        assigned.iter().copied().filter(|began| *began <= at).max()
    }

    /// When another relay was first given the partition, after `from`.
    pub fn given_away(&self, relay: &str, partition: &Partition, from: Moment) -> Option<Moment> {
        let of_others = self
            .assigned
            .iter()
            .filter(|((other, of), _)| other != relay && of == partition);
        of_others
            .flat_map(|(_, given)| given)
            .copied()
            .filter(|given| *given > from)
            .min()
    }

    /// Whether the relay lost the partition, without draining it, after `from`, in favour of one who had it at `until`.
    pub fn was_lost(
        &self,
        relay: &str,
        partition: &Partition,
        from: Moment,
        until: Moment,
    ) -> bool {
        let lost = self.lost.get(&(relay.to_owned(), partition.clone()));
        let late = Moment(until.0 + HEARS_LATE);
        lost.is_some_and(|lost| lost.iter().any(|at| (from..=late).contains(at)))
    }

    /// Whether another relay lost the partition without draining it between `at` and `until`, or shortly before: until it
    /// hears, and until the store has what it had handed over by then, it counts beside the one who has the partition.
    pub fn was_shared(
        &self,
        relay: &str,
        partition: &Partition,
        at: Moment,
        until: Moment,
    ) -> bool {
        let shared = Moment(at.0 - WRITES_LATE)..=until;
        self.lost.iter().any(|((other, of), lost)| {
            other != relay && of == partition && lost.iter().any(|at| shared.contains(at))
        })
    }

    /// How often partitions of a group changed hands.
    pub fn rebalances(&self) -> usize {
        let mut changes = self.changes.clone();
        changes.sort();
        let is_new = |(position, (group, at)): &(usize, &(String, Moment))| {
            let before = position.checked_sub(1).map(|before| &changes[before]);
            before.is_none_or(|before| before.0 != **group || at.0 - before.1.0 > ONE_REBALANCE)
        };
        changes.iter().enumerate().filter(is_new).count()
    }

    /// How often a partition was lost without a drain.
    pub fn losses(&self) -> usize {
        self.lost.values().map(Vec::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(seconds: u32, message: &str, is_lost: bool, names: &str) -> String {
        format!(
            r#"{{"timestamp":"2026-11-26T05:00:{seconds:02}.000000Z","message":"{message}","group":"g","is_lost":{is_lost},"partitions":"{names}"}}"#
        )
    }

    fn at(seconds: u32) -> Moment {
        Moment::parse(&format!("2026-11-26T05:00:{seconds:02}.000000Z")).unwrap()
    }

    #[test]
    fn the_relays_output_says_when_a_partition_was_given_and_lost() {
        let names = r#"[\"t/0\", \"t/1\"]"#;
        let output = [
            "no JSON".to_owned(),
            line(1, "partitions assigned", false, names),
            line(5, "partitions revoked", true, r#"[\"t/0\"]"#),
            line(9, "partitions assigned", false, r#"[\"t/0\"]"#),
            line(9, "partitions assigned", false, "[]"),
        ];
        let mut eras = Eras::default();
        eras.read("relay-1", &output.join("\n"));
        let partition = ("t".to_owned(), 0);
        assert_eq!(eras.began("relay-1", &partition, at(8)), Some(at(1)));
        assert_eq!(eras.began("relay-1", &partition, at(10)), Some(at(9)));
        assert_eq!(eras.began("relay-2", &partition, at(10)), None);
        assert_eq!(eras.given_away("relay-2", &partition, at(1)), Some(at(9)));
        assert_eq!(eras.given_away("relay-1", &partition, at(1)), None);
        assert!(eras.was_lost("relay-1", &partition, at(2), at(3)));
        assert!(!eras.was_lost("relay-1", &partition, at(6), at(7)));
        assert_eq!((eras.rebalances(), eras.losses()), (3, 1));
    }

    #[test]
    fn a_partition_is_shared_until_shortly_after_another_relay_has_heard_of_its_loss() {
        let mut eras = Eras::default();
        let lost = line(5, "partitions revoked", true, r#"[\"t/0\"]"#);
        eras.read("relay-1", &lost);
        let (shared, own) = (("t".to_owned(), 0), ("t".to_owned(), 1));
        assert!(eras.was_shared("relay-2", &shared, at(4), at(6)));
        assert!(eras.was_shared("relay-2", &shared, at(9), at(10)));
        assert!(!eras.was_shared("relay-2", &shared, at(4), at(4)));
        assert!(!eras.was_shared("relay-2", &shared, at(11), at(12)));
        assert!(!eras.was_shared("relay-2", &own, at(4), at(6)));
        assert!(
            !eras.was_shared("relay-1", &shared, at(4), at(6)),
            "its own loss is no other's"
        );
    }
}
