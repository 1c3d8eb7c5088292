//! Replicas converge: the consumer holds of each key what its newest version says.

use std::collections::{HashMap, HashSet};

use crate::consumer::Row;
use crate::evidence::Evidence;
use crate::topics::Published;
use crate::writer;

/// Keys of which a destination's consumer holds something else than was published last.
pub fn wrong_rows(
    destination: &str,
    published: &[Published],
    rows: &HashMap<String, Row>,
) -> Vec<String> {
    let mut newest: HashMap<&str, &Published> = HashMap::new();
    for record in published
        .iter()
        .filter(|record| record.destination == destination)
    {
        let held = newest.entry(&record.key).or_insert(record);
        if record.version > held.version {
            *held = record;
        }
    }
    let expected: HashMap<&str, Row> = newest
        .into_iter()
        .map(|(key, record)| {
            let attributes = writer::attributes(key, record.version, record.is_delete);
            let row = Row {
                version: record.version,
                attributes: (!attributes.is_null()).then_some(attributes),
            };
            (key, row)
        })
        .collect();
    let differs = |(key, row): &(&&str, &Row)| rows.get(**key) != Some(*row);
    let differing = expected.iter().filter(differs).map(|(key, row)| {
        format!(
            "{destination} {key}: {:?} instead of {row:?}",
            rows.get(*key)
        )
    });
    let unknown = rows
        .keys()
        .filter(|key| !expected.contains_key(key.as_str()))
        .map(|key| format!("{destination} {key}: never published"));
    differing.chain(unknown).collect()
}

/// Requests with a version that nobody published: an aborted transaction's, perhaps.
pub fn never_published(evidence: &Evidence) -> Vec<String> {
    let published: HashSet<_> = evidence
        .published
        .iter()
        .map(|record| (record.destination, record.key.as_str(), record.version))
        .collect();
    let unknown = evidence
        .sent
        .iter()
        .filter(|sent| !published.contains(&(sent.destination, sent.key.as_str(), sent.version)));
    unknown
        .map(|sent| format!("{}: never published", sent.name()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::samples::{evidence, sent};

    fn row(key: &str, version: u64) -> (String, Row) {
        let attributes = Some(writer::attributes(key, version, false));
        (
            key.to_owned(),
            Row {
                version,
                attributes,
            },
        )
    }

    #[test]
    fn an_old_a_missing_a_mixed_up_and_an_unknown_row_are_wrong() {
        let published = evidence(&[("a", 1), ("a", 2), ("b", 3), ("c", 4), ("e", 6)]).published;
        let mut mixed_up = row("c", 4);
        mixed_up.1.attributes = row("e", 6).1.attributes;
        let rows = [row("a", 1), mixed_up, row("d", 5), row("e", 6)];
        let mut wrong = wrong_rows("billing", &published, &rows.into());
        wrong.sort();
        let keys: Vec<_> = wrong.iter().map(|line| &line[..9]).collect();
        assert_eq!(
            keys,
            ["billing a", "billing b", "billing c", "billing d"],
            "{wrong:?}"
        );
    }

    #[test]
    fn a_version_that_was_never_published_must_not_be_sent() {
        let mut evidence = evidence(&[("a", 1)]);
        evidence.sent = vec![sent("a", 1, "relay-1", 10), sent("a", 2, "relay-1", 20)];
        assert_eq!(never_published(&evidence).len(), 1);
    }
}
