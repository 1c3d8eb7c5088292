//! Records that no consumer could ever be sent: each is put aside where a person sees it, and its neighbours flow.

use std::time::Duration;

use rdkafka::message::{Header, OwnedHeaders};
use relay_test_support::history::Exchange;
use relay_test_support::kafka::{Producer, committed_offsets, create_topic, end_offsets};
use relay_test_support::record::Record;
use relay_test_support::relay::{RelayConfig, RelayProcess};
use relay_test_support::scene::Scene;
use relay_test_support::stub_server::StubServer;
use relay_test_support::wait::wait_until;
use serde_json::Value;

const BINARY: &str = env!("CARGO_BIN_EXE_replicates-relay");
const PATIENCE: Duration = Duration::from_secs(30);

const LARGE: usize = 5_000_000;

/// An attribute `x` whose value has a kind of number 60, appended to a record.
const UNKNOWN_KIND: [u8; 10] = [0x4A, 8, 0x0A, 1, b'x', 0x12, 3, 0xE0, 0x03, 1];

/// A message on the topic, and what is said of it.
struct Poison {
    key: Option<&'static str>,
    value: Option<Vec<u8>>,
    schema_version: &'static str,
    error_class: &'static str,
    error: &'static str,
    /// Whether it can be said whose record it is.
    is_named: bool,
}

#[test]
fn each_poisoned_record_is_quarantined_and_visible_and_its_neighbours_flow() {
    let scene = Scene::new();
    let topic = topic_for_large_records(&scene);
    let consumer = StubServer::accepting();
    let config = RelayConfig::new(&scene).destination("billing", &consumer.url(), "");
    let relay = RelayProcess::start_ready(BINARY, config);

    let producer = Producer::new();
    let poisons = poisons();
    // Every other message is a sound one, all on one partition.
    producer.send(&topic, &vehicle("neighbour-0"));
    for (number, poison) in poisons.iter().enumerate() {
        poison.publish(&producer, &topic);
        producer.send(&topic, &vehicle(&format!("neighbour-{}", number + 1)));
    }
    producer.flush();

    wait_until("every offset is committed", PATIENCE, || {
        committed_offsets(&scene.group("billing"), &topic) == end_offsets(&topic)
    });
    let mut delivered: Vec<_> = consumer
        .exchanges()
        .iter()
        .map(|exchange| exchange.request.key().to_owned())
        .collect();
    delivered.sort();
    let mut expected: Vec<_> = (0..=poisons.len())
        .map(|number| format!("neighbour-{number}"))
        .collect();
    expected.sort();
    assert_eq!(
        delivered, expected,
        "neighbours once each, and nothing else"
    );

    let failures = quarantined(&relay);
    assert_eq!(failures.len(), poisons.len());
    for (number, poison) in poisons.iter().enumerate() {
        let offset = 2 * number + 1;
        let failure = failures
            .iter()
            .find(|failure| failure["kafka"]["offset"] == offset);
        let failure =
            failure.unwrap_or_else(|| panic!("nothing at offset {offset}: {failures:#?}"));
        assert_eq!(failure["error_class"], poison.error_class, "{failure}");
        let error = failure["error"].as_str().unwrap();
        assert!(
            error.contains(poison.error),
            "{error:?} says nothing of {:?}",
            poison.error
        );
        assert_eq!(failure["key"].is_string(), poison.is_named, "{failure}");
        assert_eq!(failure["attempts"], 0);
    }
    let logged = "select count(*) from attempts where outcome = 'quarantined' and attempt = 0";
    assert_eq!(
        scene.database.number(logged),
        i64::try_from(poisons.len()).unwrap()
    );
    let kept = "select max(octet_length(record)) from parked";
    assert_eq!(
        scene.database.number(kept),
        i64::try_from(LARGE).unwrap(),
        "as read, to the last byte"
    );
    let count = "undelivered{destination=\"billing\",state=\"quarantined\"}";
    let all = f64::from(u32::try_from(poisons.len()).unwrap());
    wait_until("the metric tells", PATIENCE, || {
        relay.metric(count) == Some(all)
    });
    assert_eq!(
        relay.metric("breaker_open{destination=\"billing\"}"),
        Some(0.0)
    );
}

#[test]
fn a_large_record_that_can_be_read_is_delivered_whole() {
    let scene = Scene::new();
    let topic = topic_for_large_records(&scene);
    let consumer = StubServer::accepting();
    let config =
        RelayConfig::new(&scene).destination("billing", &consumer.url(), "log_body = \"all\"");
    let _relay = RelayProcess::start_ready(BINARY, config);
    let producer = Producer::new();
    let text = "ä".repeat(LARGE / 2);
    producer.send(&topic, &vehicle("large").text("notes", &text));
    producer.flush();

    consumer.wait_until("the record", PATIENCE, |exchanges| {
        exchanges.iter().any(Exchange::is_acknowledged)
    });
    let body = consumer.exchanges()[0].request.json();
    assert!(
        body["attributes"]["notes"] == text.as_str(),
        "the text arrived changed"
    );
    wait_until("it is logged", PATIENCE, || {
        scene
            .database
            .number("select count(*) from attempts where outcome = 'delivered'")
            == 1
    });
    assert!(
        scene
            .database
            .number("select octet_length(request_body) from attempts")
            <= 64 * 1024
    );
}

#[test]
fn a_quarantined_record_is_superseded_when_a_newer_version_of_its_key_is_delivered() {
    let scene = Scene::new();
    let topic = topic_for_large_records(&scene);
    let consumer = StubServer::accepting();
    let config = RelayConfig::new(&scene).destination("billing", &consumer.url(), "");
    let relay = RelayProcess::start_ready(BINARY, config);
    let producer = Producer::new();
    producer.send_raw(&topic, Some("1"), Some(&of_unknown_kind("1")), schema("1"));
    producer.flush();
    wait_until("it is quarantined", PATIENCE, || {
        quarantined(&relay).len() == 1
    });

    producer.send(&topic, &vehicle("1").version(2));
    producer.flush();
    wait_until("it is superseded", PATIENCE, || {
        quarantined(&relay).is_empty()
    });
    let superseded = "select count(*) from attempts where outcome = 'superseded' and version = 1";
    assert_eq!(scene.database.number(superseded), 1);
}

impl Poison {
    fn publish(&self, producer: &Producer, topic: &str) {
        producer.send_raw(
            topic,
            self.key,
            self.value.as_deref(),
            schema(self.schema_version),
        );
    }
}

fn poisons() -> Vec<Poison> {
    let mut unknown_operation = vehicle("unknown operation");
    unknown_operation.message_mut().operation = 9;
    let undecodable = |key, value, error| Poison {
        key: Some(key),
        value: Some(value),
        schema_version: "1",
        error_class: "undecodable",
        error,
        is_named: false,
    };
    vec![
        undecodable("random", noise(200), "not protobuf"),
        Poison {
            schema_version: "2",
            ..undecodable("schema", vehicle("schema").encode(), "schema-version \"2\"")
        },
        undecodable(
            "unknown operation",
            unknown_operation.encode(),
            "9 is not an operation",
        ),
        Poison {
            is_named: true,
            ..undecodable("kind", of_unknown_kind("kind"), "60 is not a kind of value")
        },
        Poison {
            value: None,
            error_class: "null_value",
            ..undecodable("null", vec![], "no value")
        },
        Poison {
            error_class: "unmappable",
            ..undecodable(
                "1",
                Record::new("crm", "Vehicle", "1").encode(),
                "source is \"crm\"",
            )
        },
        undecodable("large", noise(LARGE), "not protobuf"),
        Poison {
            key: None,
            ..undecodable("", noise(10), "not protobuf")
        },
    ]
}

/// Bytes that are the same in every run; the first is no tag of protobuf.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    std::iter::once(0x07)
        .chain(std::iter::repeat_with(next))
        .take(length)
        .collect()
}

fn of_unknown_kind(key: &str) -> Vec<u8> {
    [
        Record::new("monolith", "Vehicle", key).encode(),
        UNKNOWN_KIND.to_vec(),
    ]
    .concat()
}

fn vehicle(key: &str) -> Record {
    Record::new("monolith", "Vehicle", key).text("registration", "KA-01")
}

fn schema(version: &str) -> OwnedHeaders {
    OwnedHeaders::new().insert(Header {
        key: "schema-version",
        value: Some(version),
    })
}

fn topic_for_large_records(scene: &Scene) -> String {
    let topic = scene.topic("monolith", "billing", "Vehicle");
    create_topic(&topic, 1, &[("max.message.bytes", "6000000")]);
    topic
}

fn quarantined(relay: &RelayProcess) -> Vec<Value> {
    let output = relay.command(&["failures", "--state", "quarantined", "--json"]);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}
