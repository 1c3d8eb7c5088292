//! Topics whose records Kafka may throw away: compacted ones are not read, and whoever is far behind is warned in time.

use std::time::Duration;

use relay_test_support::kafka::{self, Producer};
use relay_test_support::record::Record;
use relay_test_support::relay::{RelayConfig, RelayProcess};
use relay_test_support::scene::Scene;
use relay_test_support::stub_server::StubServer;
use relay_test_support::wait::wait_until;

const BINARY: &str = env!("CARGO_BIN_EXE_replicates-relay");
const PATIENCE: Duration = Duration::from_secs(40);

#[test]
fn a_compacted_topic_is_not_read_until_it_is_one_no_more() {
    let scene = Scene::new();
    let vehicles = scene.create_topic("monolith", "billing", "Vehicle", 1);
    let drivers = scene.topic("monolith", "billing", "Driver");
    kafka::create_topic(&drivers, 1, &[("cleanup.policy", "compact")]);
    let consumer = StubServer::accepting();
    let config = RelayConfig::new(&scene).destination("billing", &consumer.url(), "");
    let relay = RelayProcess::start_ready(BINARY, config);
    let says = |text: &str| {
        relay
            .fetch("/api/v1/destinations/billing")
            .is_some_and(|(_, answer)| answer.contains(text))
    };
    let refusal = format!("{drivers} is compacted, so Kafka could keep the older of two versions");
    wait_until("the topic is refused", PATIENCE, || {
        says("\"state\":\"held\"") && says(&refusal)
    });

    publish(&drivers, "Driver");
    publish(&vehicles, "Vehicle");
    wait_until("the other one is delivered", PATIENCE, || {
        consumer.count() == 1
    });
    kafka::configure_topic(&drivers, "cleanup.policy", "delete");
    wait_until("both are delivered", PATIENCE, || consumer.count() == 2);
    wait_until("nothing is held", PATIENCE, || says("\"state\":\"active\""));
}

#[test]
fn records_that_wait_for_half_of_their_retention_are_warned_of() {
    let scene = Scene::new();
    let topic = scene.topic("monolith", "billing", "Vehicle");
    kafka::create_topic(&topic, 1, &[("retention.ms", "6000")]);
    let consumer = StubServer::accepting();
    let config = RelayConfig::new(&scene).destination("billing", &consumer.url(), "");
    let relay = RelayProcess::start_ready(BINARY, config);
    let reason = "{\"reason\":\"they migrate\"}";
    relay
        .post("/api/v1/destinations/billing/pause", reason)
        .unwrap();
    wait_until("it is paused", PATIENCE, || {
        let paused = "held_seconds_total{destination=\"billing\",reason=\"paused\"}";
        relay.metric(paused).unwrap_or_default() > 0.0
    });
    publish(&topic, "Vehicle");
    relay.wait_for_output("is about to expire", PATIENCE);
}

fn publish(topic: &str, model: &str) {
    let producer = Producer::new();
    producer.send(topic, &Record::new("monolith", model, "1"));
    producer.flush();
}
