//! A run in which little happened proves little.

use std::time::Duration;

use crate::evidence::Evidence;

/// What a slow machine brings about, too.
const RECORDS_A_SECOND: u64 = 10;
const SECONDS_OF_A_REBALANCE: u64 = 6;

/// What happened too seldom.
pub fn too_little(evidence: &Evidence, lasting: Duration) -> Vec<String> {
    let (records, rebalances) = (evidence.published.len(), evidence.eras.rebalances());
    let seconds = lasting.as_secs();
    let floors = [
        ("records", records, seconds * RECORDS_A_SECOND),
        ("rebalances", rebalances, seconds / SECONDS_OF_A_REBALANCE),
    ];
    let is_below = |(_, count, floor): &(&str, usize, u64)| (*count as u64) < *floor;
    floors
        .into_iter()
        .filter(is_below)
        .map(|(what, count, floor)| format!("only {count} {what}, not {floor}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::samples::{assigned, evidence};

    #[test]
    fn a_run_without_records_or_rebalances_proves_nothing() {
        let mut evidence = evidence(&[]);
        let seconds = Duration::from_secs(12);
        let found = too_little(&evidence, seconds);
        assert_eq!(
            found,
            ["only 0 records, not 120", "only 0 rebalances, not 2"]
        );
        evidence.eras = assigned(&[("relay-1", 0), ("relay-2", 17)]);
        assert_eq!(too_little(&evidence, seconds), ["only 0 records, not 120"]);
    }
}
