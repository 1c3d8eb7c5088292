//! Keys of the process that no other test is about.

use std::time::Duration;

use relay_test_support::kafka::{Producer, committed_offsets, end_offsets};
use relay_test_support::record::Record;
use relay_test_support::relay::{RelayConfig, RelayProcess};
use relay_test_support::scene::Scene;
use relay_test_support::stub_server::{Answer, StubServer};
use relay_test_support::wait::wait_until;
use replicates_relay::clock::Clock;

const BINARY: &str = env!("CARGO_BIN_EXE_replicates-relay");
const PATIENCE: Duration = Duration::from_secs(60);

fn publish(topic: &str, keys: std::ops::Range<u64>) {
    let producer = Producer::new();
    for key in keys {
        producer.send(topic, &Record::new("monolith", "Vehicle", &key.to_string()));
    }
    producer.flush();
}

fn acknowledged(scene: &Scene) -> i64 {
    scene.database.number("select count(*) from ledger")
}

#[test]
fn a_drain_that_takes_longer_than_it_may_is_given_up() {
    let scene = Scene::new();
    let topic = scene.create_topic("monolith", "billing", "Vehicle", 1);
    let consumer = StubServer::start(|_| Answer::silent());
    let config = RelayConfig::new(&scene)
        .relay("drain_timeout = \"1s\"")
        .destination("billing", &consumer.url(), "timeout = \"5m\"");
    let mut relay = RelayProcess::start_ready(BINARY, config);
    publish(&topic, 0..1);
    wait_until("a request is on its way", PATIENCE, || {
        consumer.count() == 1
    });
    let status = relay.terminate(PATIENCE);
    assert_eq!(status.code(), Some(1));
    let said = "the drain took longer than relay.drain_timeout, 1s";
    assert!(relay.output().contains(said), "{}", relay.output());
}

#[test]
fn topics_and_groups_begin_as_they_are_told() {
    let scene = Scene::new();
    let topic = scene.create_topic("monolith", "billing", "Vehicle", 1);
    let consumer = StubServer::accepting();
    let config = RelayConfig::new(&scene).destination("billing", &consumer.url(), "");
    let relay = RelayProcess::start_ready(BINARY, config);
    publish(&topic, 0..1);
    let group = scene.group("billing");
    assert!(topic.starts_with(&scene.topic_prefix()) && group.starts_with(&scene.group_prefix()));
    wait_until(
        "it is delivered, and committed for that group",
        PATIENCE,
        || committed_offsets(&group, &topic) == end_offsets(&topic),
    );
    drop(relay);
}

#[test]
fn offsets_are_committed_after_the_commit_interval() {
    let scene = Scene::new();
    let topic = scene.create_topic("monolith", "billing", "Vehicle", 1);
    let consumer = StubServer::accepting();
    let config = RelayConfig::new(&scene)
        .kafka("commit_interval = \"10s\"")
        .destination("billing", &consumer.url(), "");
    let _relay = RelayProcess::start_ready(BINARY, config);
    publish(&topic, 0..1);
    wait_until("it is acknowledged", PATIENCE, || acknowledged(&scene) == 1);
    let clock = Clock::start();
    wait_until("it is committed", PATIENCE, || {
        committed_offsets(&scene.group("billing"), &topic) == end_offsets(&topic)
    });
    let took = clock.now().monotonic;
    assert!(took > Duration::from_secs(5), "{took:?}");
}

#[test]
fn properties_reach_the_clients_of_kafka() {
    let scene = Scene::new();
    let config = RelayConfig::new(&scene)
        .kafka("properties = { \"security.protocol\" = \"ssl\" }")
        .destination("billing", "http://127.0.0.1:1/", "");
    let relay = RelayProcess::start(BINARY, config);
    // The brokers of the tests speak no TLS.
    relay.wait_for_output("SSL handshake failed", PATIENCE);
}

#[test]
fn the_log_has_no_more_connections_than_it_may() {
    let scene = Scene::new();
    let topic = scene.create_topic("monolith", "billing", "Vehicle", 8);
    let consumer = StubServer::start(|_| Answer::status(409));
    let config = RelayConfig::new(&scene)
        .store("connections_max = 2")
        .destination("billing", &consumer.url(), "concurrency = 256");
    let _relay = RelayProcess::start_ready(BINARY, config);
    publish(&topic, 0..2_000);
    let sql = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";
    let mut most = 0;
    wait_until("all are parked", PATIENCE, || {
        most = most.max(scene.database.number(sql));
        scene.database.number("select count(*) from parked") == 2_000
    });
    // Two of the log, two of the API, one that looks after partitions.
    assert!((1..=5).contains(&most), "{most}");
}

#[test]
fn rows_are_written_after_the_flush_interval_or_when_there_are_enough() {
    for (lines, is_at_once) in [
        ("flush_interval = \"5s\"", false),
        ("flush_interval = \"5s\"\nflush_rows = 1", true),
    ] {
        let scene = Scene::new();
        let topic = scene.create_topic("monolith", "billing", "Vehicle", 1);
        let consumer = StubServer::accepting();
        let config = RelayConfig::new(&scene).section("log", lines).destination(
            "billing",
            &consumer.url(),
            "",
        );
        let _relay = RelayProcess::start_ready(BINARY, config);
        publish(&topic, 0..1);
        wait_until("it is answered", PATIENCE, || consumer.count() == 1);
        let clock = Clock::start();
        wait_until("it is written", PATIENCE, || acknowledged(&scene) == 1);
        let took = clock.now().monotonic;
        assert_eq!(
            took < Duration::from_secs(3),
            is_at_once,
            "{lines}: {took:?}"
        );
    }
}

#[test]
fn the_relay_says_as_much_as_it_is_told_in_the_format_it_is_told() {
    for (lines, is_json, says_that_it_delivers) in [
        ("", true, true),
        ("format = \"text\"", false, true),
        ("level = \"error\"", true, false),
    ] {
        let scene = Scene::new();
        let topic = scene.create_topic("monolith", "billing", "Vehicle", 1);
        let consumer = StubServer::accepting();
        let config = RelayConfig::new(&scene)
            .section("telemetry", lines)
            .destination("billing", &consumer.url(), "");
        let mut relay = RelayProcess::start_ready(BINARY, config);
        publish(&topic, 0..1);
        // By then it has said what it says: a relay may be ready before it delivers.
        wait_until("it delivers", PATIENCE, || consumer.count() == 1);
        relay.terminate(PATIENCE);
        let output = relay.output();
        assert_eq!(
            output.contains("delivering"),
            says_that_it_delivers,
            "{lines}: {output}"
        );
        let is_object = |line: &str| serde_json::from_str::<serde_json::Value>(line).is_ok();
        assert_eq!(output.lines().all(is_object), is_json, "{lines}: {output}");
    }
}
