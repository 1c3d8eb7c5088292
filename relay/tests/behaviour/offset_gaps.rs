//! Records that expired before they were read are failures that people see, and everything after them is delivered.

use std::ops::Range;
use std::time::Duration;

use relay_test_support::kafka::{Producer, committed_offsets, delete_before, end_offsets};
use relay_test_support::record::Record;
use relay_test_support::relay::{RelayConfig, RelayProcess};
use relay_test_support::scene::Scene;
use relay_test_support::stub_server::StubServer;
use relay_test_support::wait::wait_until;

const BINARY: &str = env!("CARGO_BIN_EXE_replicates-relay");
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn an_outage_longer_than_the_retention_is_a_failure_that_names_its_offsets() {
    let scene = Scene::new();
    let topic = scene.create_topic("monolith", "billing", "Vehicle", 1);
    let consumer = StubServer::accepting();
    let config = RelayConfig::new(&scene).destination("billing", &consumer.url(), "");
    publish(&topic, 0..10);
    let mut relay = RelayProcess::start_ready(BINARY, config);
    wait_until_all_is_committed(&scene, &topic);
    relay.terminate(PATIENCE);

    publish(&topic, 10..30);
    delete_before(&topic, 0, 25);
    relay.restart();
    relay.wait_until_ready();
    wait_until_all_is_committed(&scene, &topic);
    assert_eq!(consumer.count(), 15, "what was left is delivered");
    let expected = format!(
        "offsets 10 to 24 of {topic}/0, at most 15 records, had expired before they were read: publish the rows again \
         (rake replicates_to:backfill with NEW=1), and look for those that were deleted meanwhile"
    );
    let kept = || {
        scene.database.rows(
            "select state, error_class, error, partition_number::text, offset_number::text, version::text from parked",
        )
    };
    let said = |text: &str| Some(text.to_owned());
    let row = [vec![
        said("quarantined"),
        said("offset_gap"),
        said(&expected),
        said("0"),
        said("10"),
        said("0"),
    ]];
    assert_eq!(kept(), row);
    let logged = "select count(*) from attempts where error_class = 'offset_gap' and outcome = 'quarantined'";
    assert_eq!(scene.database.number(logged), 1);
    let gap = "offset_gap_records{destination=\"billing\"}";
    wait_until("it is counted", PATIENCE, || {
        relay.metric(gap) == Some(15.0)
    });

    // Nobody can send it: a retry leaves it as it was.
    let (_, text) = relay
        .fetch("/api/v1/deliveries?destination=billing")
        .unwrap();
    let id = text
        .split('"')
        .find(|word| word.starts_with("dlv_"))
        .unwrap();
    let (status, answer) = relay
        .post(&format!("/api/v1/deliveries/{id}/retry"), "")
        .unwrap();
    assert_eq!(status, 202, "{answer}");
    wait_until("it is looked at again", PATIENCE, || {
        scene.database.number(logged) == 2
    });
    assert_eq!(kept(), row);

    relay.restart();
    relay.wait_until_ready();
    publish(&topic, 30..31);
    wait_until_all_is_committed(&scene, &topic);
    assert_eq!(kept(), row, "once");
}

#[test]
fn everything_that_expired_is_a_failure_though_nothing_is_left_to_read() {
    let scene = Scene::new();
    let topic = scene.create_topic("monolith", "billing", "Vehicle", 1);
    let consumer = StubServer::accepting();
    let config = RelayConfig::new(&scene).destination("billing", &consumer.url(), "");
    publish(&topic, 0..3);
    let mut relay = RelayProcess::start_ready(BINARY, config);
    wait_until_all_is_committed(&scene, &topic);
    relay.terminate(PATIENCE);

    publish(&topic, 3..9);
    delete_before(&topic, 0, 9);
    relay.restart();
    relay.wait_until_ready();
    wait_until_all_is_committed(&scene, &topic);
    assert_eq!(gaps(&scene), ["offsets 3 to 8"]);
    assert_eq!(consumer.count(), 3);
}

#[test]
fn what_expires_while_a_destination_is_paused_is_a_failure_too() {
    let scene = Scene::new();
    let topic = scene.create_topic("monolith", "billing", "Vehicle", 1);
    let consumer = StubServer::accepting();
    let config = RelayConfig::new(&scene).destination("billing", &consumer.url(), "");
    let relay = RelayProcess::start_ready(BINARY, config);
    publish(&topic, 0..5);
    wait_until_all_is_committed(&scene, &topic);
    let reason = "{\"reason\":\"they migrate\"}";
    relay
        .post("/api/v1/destinations/billing/pause", reason)
        .unwrap();
    wait_until("it is paused", PATIENCE, || {
        let paused = "held_seconds_total{destination=\"billing\",reason=\"paused\"}";
        relay.metric(paused).unwrap_or_default() > 0.0
    });
    publish(&topic, 5..6);
    wait_until("one record is read, whose age is the lag", PATIENCE, || {
        relay
            .metric("lag_seconds{destination=\"billing\"}")
            .unwrap_or_default()
            > 0.0
    });
    publish(&topic, 6..20);
    delete_before(&topic, 0, 15);
    relay
        .post("/api/v1/destinations/billing/resume", "")
        .unwrap();
    wait_until_all_is_committed(&scene, &topic);
    assert_eq!(gaps(&scene), ["offsets 6 to 14"]);
    assert_eq!(consumer.count(), 5 + 1 + 5);
}

fn publish(topic: &str, keys: Range<u64>) {
    let producer = Producer::new();
    for key in keys {
        producer.send(topic, &Record::new("monolith", "Vehicle", &key.to_string()));
    }
    producer.flush();
}

/// How each gap begins to describe itself.
fn gaps(scene: &Scene) -> Vec<String> {
    let rows = scene.database.rows(
        "select substring(error from '^offsets \\d+ to \\d+') from parked where error_class = 'offset_gap' order by id",
    );
    rows.into_iter().flatten().flatten().collect()
}

fn wait_until_all_is_committed(scene: &Scene, topic: &str) {
    wait_until("everything is delivered and committed", PATIENCE, || {
        committed_offsets(&scene.group("billing"), topic) == end_offsets(topic)
    });
}
