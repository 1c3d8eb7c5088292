//! An operator pauses a destination: all replicas obey, nothing is lost, and a restart changes nothing of it.

use std::time::Duration;

use relay_test_support::kafka::{Producer, committed_offsets, end_offsets};
use relay_test_support::record::Record;
use relay_test_support::relay::{RelayConfig, RelayProcess};
use relay_test_support::scene::Scene;
use relay_test_support::stub_server::{Answer, StubServer};
use relay_test_support::wait::wait_until;

const BINARY: &str = env!("CARGO_BIN_EXE_replicates-relay");
const PATIENCE: Duration = Duration::from_secs(30);

/// Far longer than a record takes that nothing holds.
const QUIET_SECONDS: f64 = 3.0;

#[test]
fn a_paused_destination_sends_nothing_on_any_replica_until_it_is_resumed_even_after_a_restart() {
    let scene = Scene::new();
    let topic = scene.create_topic("monolith", "billing", "Vehicle", 4);
    let consumer = StubServer::accepting();
    let config = RelayConfig::new(&scene).destination("billing", &consumer.url(), "");
    let second = RelayProcess::start_ready(BINARY, config.replica("relay-2"));
    let mut first = RelayProcess::start_ready(BINARY, config);
    publish(&topic, 0..40);
    wait_until_all_is_committed(&scene, &topic);

    let paused = first.command(&[
        "destinations",
        "billing",
        "pause",
        "--reason",
        "they migrate",
    ]);
    assert!(paused.status.success(), "{paused:?}");
    for relay in [&first, &second] {
        wait_until_state(relay, "paused");
    }
    publish(&topic, 40..80);
    assert_stays_quiet(&second, &consumer, 40);

    first.restart();
    first.wait_until_ready();
    wait_until_state(&first, "paused");
    assert_stays_quiet(&first, &consumer, 40);
    let (_, text) = second.fetch("/api/v1/destinations/billing").unwrap();
    assert!(text.contains("they migrate"), "{text}");

    let resumed = second.command(&["destinations", "billing", "resume"]);
    assert!(resumed.status.success(), "{resumed:?}");
    wait_until_all_is_committed(&scene, &topic);
    assert_eq!(consumer.count(), 80, "each record once");
    assert_eq!(scene.database.number("select count(*) from ledger"), 80);
    let audit = scene
        .database
        .rows("select action, target, detail from audit order by id");
    let said = |text: &str| Some(text.to_owned());
    assert_eq!(
        audit,
        [
            [said("pause"), said("billing"), said("they migrate")],
            [said("resume"), said("billing"), None],
        ]
    );
}

#[test]
fn what_is_parked_waits_for_the_end_of_a_pause_and_pays_nothing_for_it() {
    let scene = Scene::new();
    let topic = scene.create_topic("monolith", "billing", "Vehicle", 1);
    let consumer = StubServer::start(|_| Answer::status(409));
    let retry =
        "retry = { max_retries = 100, in_place = 0, base = \"200ms\", factor = 1.0, jitter = 0.0 }";
    let config = RelayConfig::new(&scene).destination("billing", &consumer.url(), retry);
    let relay = RelayProcess::start_ready(BINARY, config);
    publish(&topic, 0..1);
    wait_until("it has been retried", PATIENCE, || consumer.count() >= 3);
    let reason = "{\"reason\":\"they migrate\"}";
    let (status, _) = relay
        .post("/api/v1/destinations/billing/pause", reason)
        .unwrap();
    assert_eq!(status, 200);
    wait_until_state(&relay, "paused");
    let tried = consumer.count();
    assert_stays_quiet(&relay, &consumer, tried);
    assert_eq!(charged(&scene), i64::try_from(tried).unwrap());

    consumer.answer_with(|_| Answer::ok());
    let (status, _) = relay
        .post("/api/v1/destinations/billing/resume", "")
        .unwrap();
    assert_eq!(status, 200);
    wait_until("it is delivered", PATIENCE, || {
        scene.database.number("select count(*) from ledger") == 1
    });
    assert_eq!(consumer.count(), tried + 1);
}

fn publish(topic: &str, keys: std::ops::Range<u64>) {
    let producer = Producer::new();
    for key in keys {
        producer.send(topic, &Record::new("monolith", "Vehicle", &key.to_string()));
    }
    producer.flush();
}

fn charged(scene: &Scene) -> i64 {
    scene.database.number("select charged from parked")
}

fn wait_until_state(relay: &RelayProcess, state: &str) {
    wait_until(&format!("billing is {state}"), PATIENCE, || {
        // What this replica says of itself: the API would show the worst of all.
        paused_seconds(relay) > 0.0
            && relay
                .fetch("/api/v1/destinations/billing")
                .is_some_and(|(_, text)| text.contains(&format!("\"state\":\"{state}\"")))
    });
}

/// Nothing is sent while a pause goes on for as long as that.
fn assert_stays_quiet(relay: &RelayProcess, consumer: &StubServer, count: usize) {
    let began = paused_seconds(relay);
    wait_until("the silence has lasted", PATIENCE, || {
        assert_eq!(consumer.count(), count, "nothing more is sent");
        paused_seconds(relay) > began + QUIET_SECONDS
    });
}

fn paused_seconds(relay: &RelayProcess) -> f64 {
    let paused = "held_seconds_total{destination=\"billing\",reason=\"paused\"}";
    relay.metric(paused).unwrap_or_default()
}

fn wait_until_all_is_committed(scene: &Scene, topic: &str) {
    wait_until("everything is delivered and committed", PATIENCE, || {
        committed_offsets(&scene.group("billing"), topic) == end_offsets(topic)
    });
}
