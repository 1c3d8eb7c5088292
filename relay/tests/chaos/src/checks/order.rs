//! Order per key, as sent.
//!
//! Acknowledged means durable in the ledger. What a relay was answered binds itself from then on; it binds others from the
//! moment at which they are given the partition, if it was durable by then. So a version is too old if its sender had been
//! answered a newer one since it owns the partition, or if a newer one was durable before it did.

use std::collections::HashMap;

use crate::evidence::{Evidence, Sent};
use crate::moment::Moment;
use crate::turns::TIMEOUT;

type Version<'a> = (&'a str, &'a str, u64);

/// Requests that carried an older version than they might.
pub fn too_old(evidence: &Evidence) -> Vec<String> {
    let durable = durable(evidence);
    let mut found = vec![];
    for of_key in evidence.by_key().values() {
        for (position, sent) in of_key.iter().enumerate() {
            let newer = of_key[..position]
                .iter()
                .filter(|earlier| earlier.version > sent.version);
            let mut acknowledged = newer.filter(|earlier| {
                earlier.is_acknowledged && earlier.ended.is_some_and(|end| end < sent.arrived)
            });
            let began = evidence
                .partition_of(sent)
                .and_then(|partition| evidence.eras.began(&sent.relay, partition, sent.at));
            let binding = acknowledged.find(|earlier| {
                let is_own = earlier.relay == sent.relay
                    && earlier.life == sent.life
                    && began.is_none_or(|began| earlier.at >= began);
                let name = (earlier.destination, earlier.key.as_str(), earlier.version);
                let is_durable = |at: &Moment| began.is_none_or(|began| *at <= began);
                is_own || durable.get(&name).is_some_and(is_durable)
            });
            let binding = binding.filter(|_| !evidence.was_deaf(sent));
            found.extend(binding.map(|newer| format!("{}, after {}", sent.name(), newer.name())));
        }
    }
    found
}

/// When each version was first durable as delivered.
fn durable(evidence: &Evidence) -> HashMap<Version<'_>, Moment> {
    let mut durable = HashMap::new();
    for row in evidence
        .logged
        .iter()
        .filter(|row| row.outcome == "delivered")
    {
        let name = (row.destination.as_str(), row.key.as_str(), row.version);
        let at = durable.entry(name).or_insert(row.durable_at);
        *at = row.durable_at.min(*at);
    }
    durable
}

/// Requests that left while another one of their key was under way.
pub fn overlapping(evidence: &Evidence) -> Vec<String> {
    let mut found = vec![];
    for of_key in evidence.by_key().values() {
        for pair in of_key.windows(2) {
            let (earlier, later) = (pair[0], pair[1]);
            let is_open = earlier.ended.is_none_or(|end| end > later.arrived);
            let is_excused = evidence.was_forgotten(earlier, later.at) || evidence.was_deaf(later);
            if is_open && is_soon(earlier, later) && !is_excused {
                found.push(format!("{}, beside {}", later.name(), earlier.name()));
            }
        }
    }
    found
}

fn is_soon(earlier: &Sent, later: &Sent) -> bool {
    later.at < earlier.at.plus(TIMEOUT / 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::samples::{assigned, evidence, life, logged, sent};

    #[test]
    fn an_older_version_after_the_senders_own_acknowledgement_is_too_old() {
        let mut evidence = evidence(&[("a", 1), ("a", 2)]);
        evidence.eras = assigned(&[("relay-1", 0)]);
        evidence.sent = vec![sent("a", 2, "relay-1", 10), sent("a", 1, "relay-1", 20)];
        assert_eq!(too_old(&evidence).len(), 1);
        evidence.sent = vec![sent("a", 1, "relay-1", 10), sent("a", 2, "relay-1", 20)];
        assert!(too_old(&evidence).is_empty());
    }

    #[test]
    fn what_another_relay_was_answered_binds_if_it_was_durable_when_the_partition_came() {
        let mut evidence = evidence(&[("a", 1), ("a", 2)]);
        evidence.sent = vec![sent("a", 2, "relay-1", 10), sent("a", 1, "relay-2", 30)];
        let mut row = logged("a", 2, 1, "delivered");
        row.durable_at = Moment(15_000_000);
        evidence.logged = vec![row];
        evidence.eras = assigned(&[("relay-1", 0), ("relay-2", 20)]);
        assert_eq!(too_old(&evidence).len(), 1);
        evidence.eras = assigned(&[("relay-1", 0), ("relay-2", 12)]);
        assert!(too_old(&evidence).is_empty());
    }

    #[test]
    fn two_requests_of_a_key_at_once_overlap_unless_the_first_ones_sender_is_dead() {
        let mut evidence = evidence(&[("a", 1), ("a", 2)]);
        let (mut first, mut second) = (sent("a", 1, "relay-1", 10), sent("a", 2, "relay-2", 10));
        second.arrived = first.arrived + 1;
        first.ended = Some(second.arrived + 1);
        evidence.sent = vec![first, second];
        evidence.lives = vec![life("relay-1", None), life("relay-2", None)];
        assert_eq!(overlapping(&evidence).len(), 1);
        evidence.lives = vec![life("relay-1", Some(9)), life("relay-2", None)];
        assert!(overlapping(&evidence).is_empty());
    }
}
