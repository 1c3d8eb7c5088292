//! What a destination takes, and when it takes no more: whose records, from where, and how many may wait.

use std::collections::BTreeSet;
use std::time::Duration;

use relay_test_support::kafka::{Producer, committed_offsets, end_offsets};
use relay_test_support::record::Record;
use relay_test_support::relay::{RelayConfig, RelayProcess};
use relay_test_support::scene::Scene;
use relay_test_support::stub_server::{Answer, StubServer};
use relay_test_support::wait::wait_until;

const BINARY: &str = env!("CARGO_BIN_EXE_replicates-relay");
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn only_the_sources_that_are_named_may_deliver() {
    let scene = Scene::new();
    let topics =
        ["crm", "monolith"].map(|source| scene.create_topic(source, "billing", "Vehicle", 1));
    let consumer = StubServer::accepting();
    let config = RelayConfig::new(&scene).destination(
        "billing",
        &consumer.url(),
        "sources = [\"monolith\"]",
    );
    let relay = RelayProcess::start_ready(BINARY, config);
    let producer = Producer::new();
    for (topic, source) in topics.iter().zip(["crm", "monolith"]) {
        producer.send(topic, &Record::new(source, "Vehicle", "1"));
    }
    producer.flush();

    wait_until_all_is_committed(&scene, &topics[1]);
    let sources: Vec<_> = consumer
        .exchanges()
        .iter()
        .map(|exchange| exchange.request.json()["source"].clone())
        .collect();
    assert_eq!(sources, ["monolith"]);
    assert!(
        !relay.output().contains(&topics[0]),
        "the other's topic is left alone"
    );
}

#[test]
fn a_disabled_destination_is_left_alone_until_it_is_enabled() {
    let scene = Scene::new();
    let topics = ["fleet", "billing"]
        .map(|destination| scene.create_topic("monolith", destination, "Vehicle", 1));
    let (fleet, billing) = (StubServer::accepting(), StubServer::accepting());
    let base = RelayConfig::new(&scene).destination("billing", &billing.url(), "");
    let of_fleet = |lines| base.clone().destination("fleet", &fleet.url(), lines);
    let relay = RelayProcess::start_ready(BINARY, of_fleet("enabled = false"));
    for topic in &topics {
        publish(topic, 1..4, "");
    }
    wait_until_all_is_committed(&scene, &topics[1]);
    assert_eq!(keys(&billing), set(&["1", "2", "3"]));
    let (_, told) = relay.fetch("/api/v1/destinations/fleet").unwrap();
    assert!(told.contains("\"state\":\"disabled\""), "{told}");
    assert_eq!(keys(&fleet), set(&[]));
    assert!(committed_offsets(&scene.group("fleet"), &topics[0]).is_empty());
    assert!(
        !relay.output().contains(&topics[0]),
        "its topic is left alone"
    );

    relay.write_config(&of_fleet("enabled = true"));
    relay.signal("HUP");
    wait_until("what waited in Kafka is delivered", PATIENCE, || {
        keys(&fleet) == set(&["1", "2", "3"])
    });
}

#[test]
fn a_group_that_begins_at_the_end_leaves_what_was_there_and_reads_later_topics_whole() {
    let scene = Scene::new();
    let vehicles = scene.create_topic("monolith", "billing", "Vehicle", 1);
    let consumer = StubServer::accepting();
    publish(&vehicles, 1..4, "");
    let config =
        RelayConfig::new(&scene).destination("billing", &consumer.url(), "start = \"latest\"");
    let relay = RelayProcess::start_ready(BINARY, config);
    relay.wait_for_output("\"partitions\":\"[\\\"", PATIENCE);
    publish(&vehicles, 4..6, "");
    wait_until_all_is_committed(&scene, &vehicles);
    assert_eq!(keys(&consumer), set(&["4", "5"]));

    let owners = scene.topic("monolith", "billing", "Owner");
    relay_test_support::kafka::create_topic(&owners, 1, &[]);
    let producer = Producer::new();
    producer.send(&owners, &Record::new("monolith", "Owner", "6"));
    producer.flush();
    consumer.wait_until("the first record of a later topic", PATIENCE, |exchanges| {
        exchanges.len() == 3
    });
    assert_eq!(keys(&consumer), set(&["4", "5", "6"]));
}

#[test]
fn consumption_holds_while_too_much_is_undelivered_and_goes_on_once_it_is_retried() {
    let scene = Scene::new();
    let topic = scene.create_topic("monolith", "billing", "Vehicle", 1);
    let consumer = StubServer::start(|_| Answer::status(422));
    let config = RelayConfig::new(&scene).destination("billing", &consumer.url(), "parked_max = 5");
    let relay = RelayProcess::start_ready(BINARY, config);
    publish(&topic, 0..5, "");
    wait_until_held(&relay, "parked_max", 0.0);

    publish(&topic, 5..10, "");
    // Far longer than a record takes that nothing holds.
    wait_until_held(&relay, "parked_max", 2.0);
    assert_eq!(keys(&consumer).len(), 5, "nothing more is sent");
    assert_eq!(scene.database.number("select count(*) from parked"), 5);

    consumer.answer_with(|_| Answer::ok());
    let ids = "select 'dlv_' || replace(key_hash::text, '-', '') || '_' || version from parked";
    for row in scene.database.rows(ids) {
        let retried = relay.command(&["retry", row[0].as_ref().unwrap()]);
        assert!(retried.status.success(), "{retried:?}");
    }
    wait_until("all ten are delivered", PATIENCE, || {
        scene.database.number("select count(*) from ledger") == 10
    });
    assert_eq!(scene.database.number("select count(*) from parked"), 0);
}

#[test]
fn fetching_holds_while_memory_is_full_and_everything_arrives() {
    let scene = Scene::new();
    let topic = scene.create_topic("monolith", "billing", "Vehicle", 1);
    // The first answer takes long enough for all that Kafka has to be read.
    let consumer = StubServer::start(|request| match request.key() {
        "0" => Answer::ok().after(Duration::from_secs(3)),
        _ => Answer::ok(),
    });
    let config = RelayConfig::new(&scene)
        .destination("billing", &consumer.url(), "concurrency = 1")
        .relay("buffer_max = \"1MiB\"");
    let relay = RelayProcess::start_ready(BINARY, config);
    publish(&topic, 0..50, &"x".repeat(100_000));

    wait_until_held(&relay, "buffer", 0.0);
    wait_until_all_is_committed(&scene, &topic);
    assert_eq!(keys(&consumer).len(), 50);
}

fn publish(topic: &str, keys: std::ops::Range<u64>, notes: &str) {
    let producer = Producer::new();
    for key in keys {
        let record = Record::new("monolith", "Vehicle", &key.to_string());
        producer.send(topic, &record.text("notes", notes));
    }
    producer.flush();
}

/// The keys that were requested; the order of different keys is nobody's promise.
fn keys(consumer: &StubServer) -> BTreeSet<String> {
    let exchanges = consumer.exchanges();
    let keys: BTreeSet<_> = exchanges
        .iter()
        .map(|exchange| exchange.request.key().to_owned())
        .collect();
    assert_eq!(keys.len(), exchanges.len(), "each once");
    keys
}

fn set(keys: &[&str]) -> BTreeSet<String> {
    keys.iter().map(|&key| key.to_owned()).collect()
}

fn wait_until_all_is_committed(scene: &Scene, topic: &str) {
    wait_until("everything is committed", PATIENCE, || {
        committed_offsets(&scene.group("billing"), topic) == end_offsets(topic)
    });
}

/// Waits until the destination has been held for more than so many seconds.
fn wait_until_held(relay: &RelayProcess, reason: &str, seconds: f64) {
    let held = format!("held_seconds_total{{destination=\"billing\",reason=\"{reason}\"}}");
    wait_until(&format!("it is held by {reason}"), PATIENCE, || {
        relay.metric(&held).is_some_and(|held| held > seconds)
    });
}
