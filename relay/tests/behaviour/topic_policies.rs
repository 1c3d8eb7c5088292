//! Topics whose records Kafka may throw away: compacted ones are not read, and whoever is far behind is warned in time.

use std::process::Command;
use std::time::Duration;

use relay_test_support::kafka::{self, Producer};
use relay_test_support::record::Record;
use relay_test_support::relay::{RelayConfig, RelayProcess};
use relay_test_support::scene::Scene;
use relay_test_support::stub_server::StubServer;
use relay_test_support::wait::wait_until;
use serde_json::Value;

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
    kafka::create_topic(&topic, 1, &[("retention.ms", "3600000")]);
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
    let producer = Producer::new();
    for (key, minutes) in [("1", 40), ("2", 1)] {
        let record = Record::new("monolith", "Vehicle", key);
        producer.send_aged(&topic, &record, Duration::from_secs(60 * minutes));
    }
    producer.flush();
    relay.wait_for_output("is about to expire", PATIENCE);
    let expiring = || {
        let (_, answer) = relay.fetch("/api/v1/destinations/billing").unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        answer["expiring"].as_array().unwrap().clone()
    };
    let told = expiring();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["topic"], *topic);
    assert_eq!(told[0]["partition"], 0);
    assert_eq!(told[0]["retention_seconds"], 3_600.0);
    let age = told[0]["age_seconds"].as_f64().unwrap();
    assert!((2_400.0..2_500.0).contains(&age), "{age}");

    let resume = "/api/v1/destinations/billing/resume";
    relay.post(resume, "{\"reason\":null}").unwrap();
    wait_until("both are delivered", PATIENCE, || consumer.count() == 2);
    wait_until("nothing is about to expire", PATIENCE, || {
        expiring().is_empty()
    });
}

#[test]
fn a_check_names_the_topics_whose_oldest_unread_record_is_about_to_expire() {
    let scene = Scene::new();
    let topic = |model, retention_ms| {
        let topic = scene.topic("monolith", "billing", model);
        kafka::create_topic(&topic, 3, &[("retention.ms", retention_ms)]);
        topic
    };
    let (hour, day, ever) = (
        topic("Vehicle", "3600000"),
        topic("Driver", "86400000"),
        topic("Trip", "-1"),
    );
    let producer = Producer::new();
    for (topic, model) in [(&hour, "Vehicle"), (&day, "Driver"), (&ever, "Trip")] {
        for key in 1..=20 {
            let minutes = if key > 10 { 1 } else { 50 };
            let record = Record::new("monolith", model, &key.to_string());
            producer.send_aged(topic, &record, Duration::from_secs(60 * minutes));
        }
    }
    // A group that begins at the end has left nothing unread.
    let other = scene.topic("monolith", "search", "Vehicle");
    kafka::create_topic(&other, 1, &[("retention.ms", "3600000")]);
    let record = Record::new("monolith", "Vehicle", "1");
    producer.send_aged(&other, &record, Duration::from_secs(50 * 60));
    producer.flush();
    let consumer = StubServer::accepting();
    let config = RelayConfig::new(&scene)
        .destination("billing", &consumer.url(), "")
        .destination("search", &consumer.url(), "start = \"latest\"");
    let text = config.to_toml();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("relay.toml"), &text).unwrap();
    let lines = || {
        let mut check = Command::new(BINARY);
        let output = check.arg("check").current_dir(folder.path()).output();
        let output = String::from_utf8(output.unwrap().stdout).unwrap();
        let lines = output.lines().filter(|line| line.contains("unread"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let warnings = lines();
    let [line] = &warnings[..] else {
        panic!("{warnings:?}")
    };
    assert!(
        line.starts_with(&format!("warn  billing             {hour}/")),
        "{line}"
    );
    assert!(
        line.ends_with(
            ": the oldest unread record is 50m old, and is deleted when it is 1h old (and in 2 more partitions): \
             raise the topic's retention.ms, or let the destination go on"
        ),
        "{line}"
    );

    // What is read waits no more.
    let _relay = RelayProcess::start_ready(BINARY, config);
    wait_until("all is read", PATIENCE, || {
        kafka::committed_offsets(&scene.group("billing"), &hour) == kafka::end_offsets(&hour)
    });
    assert_eq!(lines(), [""; 0]);
}

fn publish(topic: &str, model: &str) {
    let producer = Producer::new();
    producer.send(topic, &Record::new("monolith", model, "1"));
    producer.flush();
}
