//! A source that saves its rows more often than they change: the consumer hears of changes only.

use std::time::Duration;

use relay_core::proto::Operation;
use relay_test_support::kafka::{Producer, committed_offsets, end_offsets};
use relay_test_support::record::Record;
use relay_test_support::relay::{RelayConfig, RelayProcess};
use relay_test_support::scene::Scene;
use relay_test_support::stub_server::{Answer, StubServer};
use relay_test_support::wait::wait_until;

const BINARY: &str = env!("CARGO_BIN_EXE_replicates-relay");
const PATIENCE: Duration = Duration::from_secs(30);

/// Vehicles are skipped, drivers are not.
const SKIPPING: &str = r"
[destinations.billing.retry]
max_retries = 0
[destinations.billing.routes.Vehicle]
skip_unchanged = true
";

#[test]
fn only_changes_snapshots_and_retries_are_sent_also_by_a_relay_that_remembers_nothing() {
    let scene = Scene::new();
    let [vehicles, drivers] =
        ["Vehicle", "Driver"].map(|model| scene.create_topic("monolith", "billing", model, 1));
    let consumer = StubServer::accepting();
    let config = RelayConfig::new(&scene).destination("billing", &consumer.url(), SKIPPING);
    let mut relay = RelayProcess::start_ready(BINARY, config);
    let producer = Producer::new();
    let publish = |topic: &str, record: &Record| {
        producer.send(topic, record);
        producer.flush();
        wait_until("it is committed", PATIENCE, || {
            committed_offsets(&scene.group("billing"), topic) == end_offsets(topic)
        });
    };
    let deleted = |version| {
        let record = Record::new("monolith", "Vehicle", "1").version(version);
        record.operation(Operation::Delete)
    };

    publish(&vehicles, &vehicle(1, "KA-01"));
    publish(&vehicles, &vehicle(2, "KA-01"));
    publish(&vehicles, &vehicle(3, "KA-02"));
    // What is known of the key now stands in the ledger alone.
    relay.restart();
    relay.wait_until_ready();
    publish(&vehicles, &vehicle(4, "KA-02"));
    publish(
        &vehicles,
        &vehicle(5, "KA-02").operation(Operation::Snapshot),
    );
    publish(&vehicles, &deleted(6));
    publish(&vehicles, &deleted(7));
    publish(&vehicles, &vehicle(8, "KA-02"));
    assert_eq!(versions(&consumer), [1, 3, 5, 6, 8]);
    let skipped =
        "select version from attempts where outcome = 'superseded' and attempt = 0 order by 1";
    assert_eq!(column(&scene, skipped), ["2", "4", "7"]);
    publish(&vehicles, &vehicle(9, "KA-02"));
    assert_eq!(column(&scene, "select version from ledger"), ["9"]);

    // A change that failed is undelivered. What changes back is sent, since it may have arrived; a retry is sent as it is.
    consumer.answer_with(|_| Answer::status(500));
    publish(&vehicles, &vehicle(10, "KA-03"));
    consumer.answer_with(|_| Answer::ok());
    publish(&vehicles, &vehicle(11, "KA-02"));
    assert_eq!(versions(&consumer), [1, 3, 5, 6, 8, 10, 11]);
    consumer.answer_with(|_| Answer::status(422));
    publish(&vehicles, &vehicle(12, "KA-04"));
    consumer.answer_with(|_| Answer::ok());
    let id = "select 'dlv_' || replace(key_hash::text, '-', '') || '_' || version from parked";
    assert!(
        relay
            .command(&["retry", &column(&scene, id)[0]])
            .status
            .success()
    );
    wait_until("it is delivered", PATIENCE, || {
        column(&scene, "select version from ledger") == ["12"]
    });
    assert_eq!(versions(&consumer), [1, 3, 5, 6, 8, 10, 11, 12, 12]);

    for version in 1..=3 {
        let driver = Record::new("monolith", "Driver", "1").version(version);
        publish(&drivers, &driver.text("name", "Ann"));
    }
    assert_eq!(consumer.count(), 12, "its route skips nothing");
}

fn vehicle(version: u64, plate: &str) -> Record {
    let record = Record::new("monolith", "Vehicle", "1").version(version);
    record.text("plate", plate)
}

/// The versions of vehicles that were requested, in order.
fn versions(consumer: &StubServer) -> Vec<u64> {
    let exchanges = consumer.exchanges();
    exchanges
        .iter()
        .map(|exchange| exchange.request.version())
        .collect()
}

fn column(scene: &Scene, sql: &str) -> Vec<String> {
    let rows = scene.database.rows(sql);
    rows.into_iter()
        .map(|row| row[0].clone().unwrap())
        .collect()
}
