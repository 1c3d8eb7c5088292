//! A relay ends by itself only because of an outage: it says why, and there was one.

use std::time::Duration;

use crate::evidence::Evidence;
use crate::lives::{Death, Life};
use crate::services::Service;

/// The broker takes it for two of one name after a join that was cut short.
const FENCED: &str = "two replicas must not share relay.name";

/// What one says last, and whose absence explains it.
const REASONS: [(&str, &[Service]); 3] = [
    (FENCED, &[Service::Kafka]),
    // What it drained could not be written down, or not be committed.
    (
        "the drain took longer than relay.drain_timeout",
        &[Service::Kafka, Service::Postgres],
    ),
    // It was started in the outage.
    ("the store", &[Service::Postgres]),
];

/// A drain, or a join, goes on for so long after an outage before it fails because of it.
const AFTER: Duration = Duration::from_secs(25);

/// Ends without an outage that explains what was said.
pub fn unexplained(evidence: &Evidence) -> Vec<String> {
    let unexplained = |life: &Life| match life.end.as_ref()? {
        (at, Death::Fell(said) | Death::NeverReady(said)) => {
            let reason = REASONS.iter().find(|(words, _)| said.contains(words));
            let was_away = reason.is_some_and(|(_, services)| {
                evidence.away.iter().any(|away| {
                    services.contains(&away.service)
                        && away.began <= *at
                        && *at <= away.ended.plus(AFTER)
                })
            });
            (!was_away).then(|| format!("{said} (at {})", at.0))
        }
        (_, Death::Killed | Death::Stopped) => None,
    };
    evidence.lives.iter().filter_map(unexplained).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::samples::{away, evidence, life};

    #[test]
    fn an_end_is_explained_by_an_outage_of_what_it_speaks_of_at_that_time() {
        let unexplained_of = |said: &str, service, from, until| {
            let mut evidence = evidence(&[]);
            let mut ended = life("relay-1", Some(100));
            ended.end.as_mut().unwrap().1 = Death::Fell(said.to_owned());
            evidence.lives = vec![ended];
            evidence.away = vec![away(service, from, until)];
            unexplained(&evidence).len()
        };
        let fenced = FENCED;
        assert_eq!(unexplained_of(fenced, Service::Kafka, 90, 95), 0);
        assert_eq!(
            unexplained_of(fenced, Service::Kafka, 10, 15),
            1,
            "long ago"
        );
        assert_eq!(unexplained_of(fenced, Service::Kafka, 101, 105), 1, "later");
        assert_eq!(unexplained_of(fenced, Service::Postgres, 90, 95), 1);
        let store = "cannot migrate the store: connection refused";
        assert_eq!(unexplained_of(store, Service::Postgres, 99, 101), 0);
        let panicked = "thread 'deliver' panicked";
        assert_eq!(unexplained_of(panicked, Service::Kafka, 90, 110), 1);
    }
}
