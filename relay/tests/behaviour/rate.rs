//! A consumer that may be asked only so often: all replicas together keep to it, and everything arrives.

use std::time::Duration;

use relay_test_support::kafka::{Producer, committed_offsets, end_offsets};
use relay_test_support::record::Record;
use relay_test_support::relay::{RelayConfig, RelayProcess};
use relay_test_support::scene::Scene;
use relay_test_support::stub_server::StubServer;
use relay_test_support::wait::wait_until;

const BINARY: &str = env!("CARGO_BIN_EXE_replicates-relay");
const PATIENCE: Duration = Duration::from_secs(60);

const RECORDS: u32 = 240;
/// A second, of both replicas together.
const RATE: u32 = 40;

#[test]
fn two_replicas_together_send_no_more_than_the_limit_and_lose_nothing() {
    let scene = Scene::new();
    let topic = scene.create_topic("monolith", "billing", "Vehicle", 4);
    let consumer = StubServer::accepting();
    let limits = format!("rate_limit = {RATE}\nconcurrency = 4");
    let config = RelayConfig::new(&scene).destination("billing", &consumer.url(), &limits);
    let first = RelayProcess::start_ready(BINARY, config.clone());
    let second = RelayProcess::start_ready(BINARY, config.replica("relay-2"));
    second.wait_for_output("\"partitions\":\"[\\\"", PATIENCE);
    let producer = Producer::new();
    for key in 0..RECORDS {
        producer.send(
            &topic,
            &Record::new("monolith", "Vehicle", &key.to_string()),
        );
    }
    producer.flush();

    let held = "held_seconds_total{destination=\"billing\",reason=\"rate_limit\"}";
    for relay in [&first, &second] {
        wait_until("each holds requests back", PATIENCE, || {
            relay.metric(held).is_some_and(|seconds| seconds > 0.0)
        });
    }
    wait_until("everything is committed", PATIENCE, || {
        committed_offsets(&scene.group("billing"), &topic) == end_offsets(&topic)
    });
    let exchanges = consumer.exchanges();
    assert_eq!(exchanges.len(), RECORDS as usize, "each once");
    let came = exchanges
        .iter()
        .map(|exchange| exchange.request.received_at);
    let took = came.clone().max().unwrap() - came.min().unwrap();
    // Each of them alone with the whole limit would need half the time.
    let least = Duration::from_secs(1) * RECORDS / RATE;
    assert!(took > least.mul_f64(0.8), "{RECORDS} requests in {took:?}");
    let replicas = "select count(distinct replica) from attempts";
    assert_eq!(scene.database.number(replicas), 2);
}
