//! Nothing is lost: what was published has ended in the log, or stands in the store for all to see.

use std::collections::{BTreeSet, HashSet};

use crate::evidence::{Evidence, ended};

/// Published versions that nobody knows of.
pub fn lost(evidence: &Evidence) -> Vec<String> {
    let ended = ended(&evidence.logged);
    let visible: HashSet<_> = evidence
        .undelivered
        .iter()
        .map(|row| (row.destination.as_str(), row.key.as_str(), row.version))
        .collect();
    let lost: BTreeSet<_> = evidence
        .published
        .iter()
        .filter(|record| {
            let name = (record.destination, record.key.as_str(), record.version);
            !ended.contains(&name) && !visible.contains(&name)
        })
        .map(|record| {
            format!(
                "{} {} version {}, offset {} of {:?}",
                record.destination, record.key, record.version, record.offset, record.partition
            )
        })
        .collect();
    lost.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::samples::{evidence, logged, undelivered};

    #[test]
    fn a_version_that_is_neither_ended_nor_undelivered_is_lost() {
        let mut evidence = evidence(&[("a", 1), ("a", 2), ("a", 3), ("a", 4)]);
        evidence.logged = vec![
            logged("a", 1, 0, "superseded"),
            logged("a", 2, 1, "retryable"),
            logged("a", 3, 1, "delivered"),
        ];
        evidence.undelivered = vec![undelivered("a", 4, 3)];
        let lost = lost(&evidence);
        assert_eq!(lost.len(), 1, "{lost:?}");
        assert!(lost[0].contains("version 2"), "{lost:?}");
    }
}
