//! Small evidence for the tests of the checks. Moments are in seconds.

use crate::eras::Eras;
use crate::evidence::{Evidence, Logged, Sent, Undelivered};
use crate::lives::{Death, Life};
use crate::moment::Moment;
use crate::services::{Absence, Service};
use crate::topics::Published;

fn second(seconds: i64) -> Moment {
    Moment(seconds * 1_000_000)
}

/// Nothing but what was published.
pub fn evidence(published: &[(&str, u64)]) -> Evidence {
    let published: Vec<_> = (0..)
        .zip(published)
        .map(|(offset, (key, version))| Published {
            destination: "billing",
            partition: ("t".to_owned(), 0),
            offset,
            key: (*key).to_owned(),
            version: *version,
            is_delete: false,
        })
        .collect();
    let mut evidence = Evidence::default();
    evidence.take_published(&published);
    evidence
}

/// A request that was acknowledged at once.
pub fn sent(key: &str, version: u64, relay: &str, at: i64) -> Sent {
    let arrived = u64::try_from(at).unwrap() * 10;
    Sent {
        destination: "billing",
        key: key.to_owned(),
        version,
        id: format!("{key}{version}"),
        attempt: 1,
        batch: None,
        company: 1,
        relay: relay.to_owned(),
        life: 1,
        at: second(at),
        arrived,
        ended: Some(arrived + 1),
        ended_at: Some(second(at)),
        is_acknowledged: true,
    }
}

pub fn logged(key: &str, version: u64, attempt: u32, outcome: &str) -> Logged {
    Logged {
        destination: "billing".to_owned(),
        key: key.to_owned(),
        version,
        id: format!("{key}{version}"),
        attempt,
        batch: None,
        outcome: outcome.to_owned(),
        status: (attempt > 0).then_some(200),
        error_class: String::new(),
        relay: "relay-1".to_owned(),
        attempted_at: second(0),
        durable_at: second(0),
    }
}

/// An exhausted one.
pub fn undelivered(key: &str, version: u64, attempts: u32) -> Undelivered {
    Undelivered {
        destination: "billing".to_owned(),
        key: key.to_owned(),
        version,
        id: format!("{key}{version}"),
        state: "exhausted".to_owned(),
        attempts,
        charged: attempts,
    }
}

/// The first life of a relay, perhaps killed.
pub fn life(relay: &str, killed: Option<i64>) -> Life {
    Life {
        relay: relay.to_owned(),
        number: 1,
        born: second(0),
        end: killed.map(|at| (second(at), Death::Killed)),
        freezes: vec![],
    }
}

/// Which relay was given the only partition, and when.
pub fn assigned(relays: &[(&str, i64)]) -> Eras {
    let mut eras = Eras::default();
    for (relay, at) in relays {
        let names = r#"[\"t/0\"]"#;
        let line = format!(
            r#"{{"timestamp":"1970-01-01T00:00:{at:02}Z","message":"partitions assigned","group":"g","partitions":"{names}"}}"#
        );
        eras.read(relay, &line);
    }
    eras
}

/// A service that was away.
pub fn away(service: Service, from: i64, until: i64) -> Absence {
    Absence {
        service,
        began: second(from),
        ended: second(until),
    }
}
