//! Who gives a partition up waits for what it has under way there: from the moment at which another one has the partition
//! nobody else sends for it.

use std::time::Duration;

use crate::evidence::{Evidence, Sent};
use crate::turns::TIMEOUT;

/// An endpoint may notice so much later that a request is over.
const NOTICED_WITHIN: Duration = Duration::from_millis(100);

/// Requests that were under way, or left, while another relay had their partition.
pub fn under_way(evidence: &Evidence) -> Vec<String> {
    let is_beside = |sent: &Sent| {
        let partition = evidence.partition_of(sent)?;
        let began = evidence.eras.began(&sent.relay, partition, sent.at)?;
        let given = evidence.eras.given_away(&sent.relay, partition, began)?;
        let ended = sent.ended_at.unwrap_or(sent.at.plus(TIMEOUT));
        let is_under_way = ended > given.plus(NOTICED_WITHIN);
        let is_excused = evidence.was_forgotten(sent, given) || evidence.was_deaf(sent);
        (is_under_way && !is_excused).then(|| {
            format!(
                "{}, under way until {}: {partition:?} was given away at {}",
                sent.name(),
                ended.0,
                given.0
            )
        })
    };
    evidence.sent.iter().filter_map(is_beside).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::samples::{assigned, evidence, life, sent};

    #[test]
    fn a_request_that_is_under_way_when_another_has_the_partition_was_not_waited_for() {
        let mut evidence = evidence(&[("a", 1)]);
        evidence.sent = vec![sent("a", 1, "relay-1", 10)];
        evidence.sent[0].ended_at = Some(evidence.sent[0].at.plus(Duration::from_secs(2)));
        evidence.lives = vec![life("relay-1", None)];
        evidence.eras = assigned(&[("relay-1", 0), ("relay-2", 13)]);
        assert!(under_way(&evidence).is_empty());
        evidence.eras = assigned(&[("relay-1", 0), ("relay-2", 11)]);
        assert_eq!(under_way(&evidence).len(), 1);
        evidence.lives = vec![life("relay-1", Some(11))];
        assert!(under_way(&evidence).is_empty(), "it was killed");
    }

    #[test]
    fn a_request_that_leaves_after_the_partition_was_given_away_is_wrong() {
        let mut evidence = evidence(&[("a", 1)]);
        evidence.sent = vec![sent("a", 1, "relay-1", 20)];
        evidence.lives = vec![life("relay-1", None)];
        evidence.eras = assigned(&[("relay-1", 0), ("relay-2", 10)]);
        assert_eq!(under_way(&evidence).len(), 1);
        evidence.eras = assigned(&[("relay-1", 0), ("relay-2", 10), ("relay-1", 15)]);
        assert!(under_way(&evidence).is_empty(), "it came back");
    }
}
