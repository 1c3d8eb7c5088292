//! A source whose versions go back holds its destination until an operator was asked: nothing goes by as stale unseen.

use std::time::Duration;

use relay_test_support::kafka::{Producer, committed_offsets, end_offsets};
use relay_test_support::record::Record;
use relay_test_support::relay::{RelayConfig, RelayProcess};
use relay_test_support::scene::Scene;
use relay_test_support::stub_server::StubServer;
use relay_test_support::wait::wait_until;

const BINARY: &str = env!("CARGO_BIN_EXE_replicates-relay");
const PATIENCE: Duration = Duration::from_secs(30);

/// Versions of the next generation.
const RAISED: u64 = 1 << 48;

#[test]
fn versions_that_went_back_hold_the_destination_until_an_operator_resumes_it() {
    let scene = Scene::new();
    let topic = scene.create_topic("monolith", "billing", "Vehicle", 1);
    let consumer = StubServer::accepting();
    let config = RelayConfig::new(&scene).destination("billing", &consumer.url(), "");
    let mut relay = RelayProcess::start_ready(BINARY, config);
    publish(&topic, [("1", 1_000), ("2", 1_001)], 20);
    wait_until("both are delivered and committed", PATIENCE, || {
        committed_offsets(&scene.group("billing"), &topic) == end_offsets(&topic)
    });
    let before = committed_offsets(&scene.group("billing"), &topic);

    // The sequence begins anew. A row that is new has no higher version anywhere.
    publish(&topic, [("1", 7), ("3", 8)], 0);
    wait_until_held(&relay);
    let held = "held_seconds_total{destination=\"billing\",reason=\"versions_back\"}";
    wait_until("it counts how long", PATIENCE, || {
        relay.metric(held).unwrap_or_default() > 0.0
    });
    relay.restart();
    relay.wait_until_ready();
    wait_until_held(&relay);
    let (_, text) = relay.fetch("/api/v1/destinations/billing").unwrap();
    for words in [
        "Vehicle 1 has version 7, committed at 2",
        "after version 1000, committed at 2",
        "raise generation at monolith, then: destinations billing resume",
    ] {
        assert!(text.contains(words), "{text}");
    }
    assert_eq!(consumer.count(), 2, "nothing more is sent");
    assert_eq!(committed_offsets(&scene.group("billing"), &topic), before);

    publish(&topic, [("1", RAISED + 9)], 0);
    let resumed = relay.command(&["destinations", "billing", "resume"]);
    assert!(resumed.status.success(), "{resumed:?}");
    wait_until("all have ended and are committed", PATIENCE, || {
        committed_offsets(&scene.group("billing"), &topic) == end_offsets(&topic)
    });
    assert_eq!(versions_sent(&consumer), [8, 1_000, 1_001, RAISED + 9]);

    // What is committed after that word, under the old generation still, was not meant by it.
    publish(&topic, [("2", 10)], 0);
    wait_until_held(&relay);
    assert!(
        relay
            .command(&["destinations", "billing", "resume"])
            .status
            .success()
    );
    wait_until("it has ended and is committed", PATIENCE, || {
        committed_offsets(&scene.group("billing"), &topic) == end_offsets(&topic)
    });
    let ended = scene.database.rows(
        "select version::text, outcome, error_class, error like '%an operator has resumed billing at %' from attempts
         where key = '2' and version = 10",
    );
    let said = |text: &str| Some(text.to_owned());
    assert_eq!(
        ended,
        [[
            said("10"),
            said("superseded"),
            said("versions_back"),
            said("t")
        ]]
    );
    assert_eq!(consumer.count(), 4);
}

fn versions_sent(consumer: &StubServer) -> Vec<u64> {
    let exchanges = consumer.exchanges();
    let mut versions: Vec<_> = exchanges
        .iter()
        .map(|exchange| exchange.request.version())
        .collect();
    versions.sort_unstable();
    versions
}

/// Publishes keys and versions, committed so many minutes ago.
fn publish<const N: usize>(topic: &str, rows: [(&str, u64); N], minutes_ago: i64) {
    let producer = Producer::new();
    for (key, version) in rows {
        let mut record = Record::new("monolith", "Vehicle", key).version(version);
        let committed_at = record.message_mut().committed_at.as_mut().unwrap();
        committed_at.seconds -= 60 * minutes_ago;
        producer.send(topic, &record);
    }
    producer.flush();
}

fn wait_until_held(relay: &RelayProcess) {
    wait_until("billing is held", PATIENCE, || {
        relay
            .fetch("/api/v1/destinations/billing")
            .is_some_and(|(_, text)| {
                text.contains("\"state\":\"held\"") && text.contains("went back")
            })
    });
}
