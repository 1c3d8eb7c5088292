//! One key that the consumer can never take: its neighbours flow, its budget ends exactly, and a person mends it.

use std::time::Duration;

use relay_test_support::history::order_violations;
use relay_test_support::kafka::Producer;
use relay_test_support::record::Record;
use relay_test_support::relay::{RelayConfig, RelayProcess};
use relay_test_support::scene::Scene;
use relay_test_support::stub_server::{Answer, Request, StubServer};
use relay_test_support::wait::wait_until;
use serde_json::Value;

const BINARY: &str = env!("CARGO_BIN_EXE_replicates-relay");
const PATIENCE: Duration = Duration::from_secs(30);

/// The key that always fails, and the version of it that does.
const POISON: &str = "poison";

/// One attempt, two retries in place, and two from the store.
const SHORT_RETRIES: &str = "retry = { max_retries = 4, in_place = 2, base = \"100ms\", factor = 2.0, cap = \"400ms\", jitter = 0.0 }";
const CHARGED_MAX: usize = 5;

/// Long enough for a newer version to arrive while the older one is parked.
const LATE_RETRY: &str = "retry = { max_retries = 5, in_place = 0, base = \"3s\", factor = 1.0, cap = \"3s\", jitter = 0.0 }";

#[test]
fn a_key_that_always_fails_is_exhausted_alone_and_a_retry_delivers_it_once_the_consumer_is_mended()
{
    let scene = Scene::new();
    let topic = scene.create_topic("monolith", "billing", "Vehicle", 2);
    let consumer = StubServer::start(refuse_poison);
    let config = RelayConfig::new(&scene).destination("billing", &consumer.url(), SHORT_RETRIES);
    let relay = RelayProcess::start_ready(BINARY, config);

    let producer = Producer::new();
    producer.send(&topic, &vehicle(POISON, 1));
    producer.flush();
    // For a while nothing else is known of the endpoint than that it fails.
    consumer.wait_until("a second attempt", PATIENCE, |exchanges| {
        exchanges.len() == 2
    });
    for version in 1..=4 {
        for number in 0..50 {
            producer.send(&topic, &vehicle(&number.to_string(), version));
        }
    }
    producer.flush();

    consumer.wait_until(
        "the newest version of every neighbour",
        PATIENCE,
        |exchanges| {
            let newest = |exchange: &&_| is_newest_of_a_neighbour(exchange);
            exchanges.iter().filter(newest).count() == 50
        },
    );
    wait_for_state(&relay, "exhausted");
    assert_eq!(
        relay.metric("breaker_open{destination=\"billing\"}"),
        Some(0.0)
    );
    let held = "held_seconds_total{destination=\"billing\",reason=\"breaker\"}";
    assert!(
        relay.metric(held).unwrap_or(0.0) <= 0.0,
        "the breaker stayed closed all the while"
    );

    let failures = failures(&relay);
    let [failure] = &failures[..] else {
        panic!("one failure, not {failures:?}")
    };
    let id = failure["id"].as_str().unwrap();
    assert_eq!(failure["key"], POISON);
    assert_eq!(failure["attempts"], CHARGED_MAX);
    assert_eq!(failure["last_status"], 500);
    assert_eq!(failure["error_class"], "http_5xx");
    assert_eq!(requests_of(&consumer, POISON), CHARGED_MAX);
    let expected: Vec<_> = (1..=CHARGED_MAX)
        .map(|attempt| format!("{attempt} retryable 500"))
        .collect();
    assert_eq!(logged(&scene, "billing", 1), expected);
    assert_eq!(scene.database.number("select charged from parked"), 5);

    consumer.answer_with(|_| Answer::ok());
    let retried = relay.command(&["retry", id]);
    assert!(retried.status.success(), "{retried:?}");
    wait_until("no failure is left", PATIENCE, || {
        self::failures(&relay).is_empty()
    });
    assert_eq!(
        logged(&scene, "billing", 1).last().unwrap(),
        "6 delivered 200"
    );
    assert_eq!(requests_of(&consumer, POISON), CHARGED_MAX + 1);
    assert_eq!(ledger_version(&scene), 1);
}

#[test]
fn a_route_may_have_a_smaller_budget_than_its_destination() {
    let scene = Scene::new();
    let consumer = StubServer::start(refuse_poison);
    let config = RelayConfig::new(&scene)
        .destination("billing", &consumer.url(), SHORT_RETRIES)
        .section(
            "destinations.billing.routes.Owner",
            "retry = { max_retries = 1 }",
        );
    let relay = RelayProcess::start_ready(BINARY, config);
    let producer = Producer::new();
    for model in ["Owner", "Vehicle"] {
        let topic = scene.create_topic("monolith", "billing", model, 1);
        producer.send(&topic, &Record::new("monolith", model, POISON).version(1));
    }
    producer.flush();

    wait_until("both are exhausted", PATIENCE, || {
        let failures = failures(&relay);
        failures.len() == 2
            && failures
                .iter()
                .all(|failure| failure["state"] == "exhausted")
    });
    for (model, attempts) in [("Owner", 2), ("Vehicle", CHARGED_MAX)] {
        let failures = failures(&relay);
        let failure = failures.iter().find(|failure| failure["model"] == model);
        assert_eq!(failure.unwrap()["attempts"], attempts, "{model}");
    }
    assert_eq!(requests_of(&consumer, POISON), 2 + CHARGED_MAX);
}

#[test]
fn a_newer_version_supersedes_an_exhausted_one_once_it_is_delivered() {
    let scene = Scene::new();
    let topic = scene.create_topic("monolith", "billing", "Vehicle", 1);
    let consumer = StubServer::start(refuse_poison);
    let config = RelayConfig::new(&scene).destination("billing", &consumer.url(), SHORT_RETRIES);
    let relay = RelayProcess::start_ready(BINARY, config);
    publish(&topic, 1);
    wait_for_state(&relay, "exhausted");

    publish(&topic, 2);
    wait_until("the older version is gone", PATIENCE, || {
        failures(&relay).is_empty()
    });
    assert_eq!(ledger_version(&scene), 2);
    assert_eq!(
        logged(&scene, "billing", 1).last().unwrap(),
        "0 superseded -"
    );
    assert_eq!(logged(&scene, "billing", 2), ["1 delivered 200"]);
    assert_eq!(requests_of(&consumer, POISON), CHARGED_MAX + 1);
}

#[test]
fn a_newer_version_takes_the_place_of_a_parked_one_and_keeps_its_due_time() {
    let scene = Scene::new();
    let topic = scene.create_topic("monolith", "billing", "Vehicle", 1);
    let consumer = StubServer::start(refuse_poison);
    let config = RelayConfig::new(&scene).destination("billing", &consumer.url(), LATE_RETRY);
    let relay = RelayProcess::start_ready(BINARY, config);
    publish(&topic, 1);
    wait_for_state(&relay, "parked");

    publish(&topic, 2);
    wait_until("the older version gave way", PATIENCE, || {
        logged(&scene, "billing", 1) == ["1 retryable 500", "0 superseded -"]
    });
    consumer.wait_until("the newer version", PATIENCE, |exchanges| {
        exchanges
            .iter()
            .any(|exchange| exchange.request.version() == 2)
    });
    let exchanges = consumer.exchanges();
    assert_eq!(exchanges.len(), 2, "the older version is not sent again");
    assert!(order_violations(&exchanges).is_empty());
    let waited = exchanges[1].request.received_at - exchanges[0].request.received_at;
    assert!(
        waited >= Duration::from_millis(2_900),
        "sent after {waited:?}, before it was due"
    );
    wait_until("nothing is left", PATIENCE, || failures(&relay).is_empty());
    assert_eq!(logged(&scene, "billing", 2), ["1 delivered 200"]);
}

#[test]
fn a_retry_asked_for_while_an_attempt_is_under_way_starts_a_fresh_budget() {
    let scene = Scene::new();
    let topic = scene.create_topic("monolith", "billing", "Vehicle", 1);
    // The second attempt is the last of the budget, and takes long enough for the relay to hear of the retry.
    let consumer = StubServer::start(|request| match request.attempt {
        1 => Answer::status(500),
        2 => Answer::status(500).after(Duration::from_secs(4)),
        _ => Answer::ok(),
    });
    let retry = "retry = { max_retries = 1, in_place = 0, base = \"100ms\", jitter = 0.0 }";
    let config = RelayConfig::new(&scene).destination("billing", &consumer.url(), retry);
    let relay = RelayProcess::start_ready(BINARY, config);
    publish(&topic, 1);
    consumer.wait_until("the second attempt", PATIENCE, |exchanges| {
        exchanges.len() == 2
    });

    let failures = failures(&relay);
    let retried = relay.command(&["retry", failures[0]["id"].as_str().unwrap()]);
    assert!(retried.status.success(), "{retried:?}");
    consumer.wait_until("the third attempt", PATIENCE, |exchanges| {
        exchanges.len() == 3
    });
    wait_until("no failure is left", PATIENCE, || {
        self::failures(&relay).is_empty()
    });
    assert_eq!(
        logged(&scene, "billing", 1),
        ["1 retryable 500", "2 retryable 500", "3 delivered 200"]
    );
}

fn refuse_poison(request: &Request) -> Answer {
    match (request.key(), request.version()) {
        (POISON, 1) => Answer::status(500).body("cannot"),
        _ => Answer::ok(),
    }
}

fn vehicle(key: &str, version: u64) -> Record {
    Record::new("monolith", "Vehicle", key)
        .version(version)
        .text("registration", "KA-01")
}

fn publish(topic: &str, version: u64) {
    let producer = Producer::new();
    producer.send(topic, &vehicle(POISON, version));
    producer.flush();
}

fn is_newest_of_a_neighbour(exchange: &relay_test_support::history::Exchange) -> bool {
    exchange.request.key() != POISON
        && exchange.request.version() == 4
        && exchange.is_acknowledged()
}

fn requests_of(consumer: &StubServer, key: &str) -> usize {
    let exchanges = consumer.exchanges();
    exchanges
        .iter()
        .filter(|exchange| exchange.request.key() == key)
        .count()
}

fn wait_for_state(relay: &RelayProcess, state: &str) {
    wait_until(&format!("a delivery is {state}"), PATIENCE, || {
        failures(relay)
            .iter()
            .any(|failure| failure["state"] == state)
    });
}

fn failures(relay: &RelayProcess) -> Vec<Value> {
    let output = relay.command(&["failures", "--destination", "billing", "--json"]);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The log of one version of the poison key: attempt, outcome, status.
fn logged(scene: &Scene, destination: &str, version: u64) -> Vec<String> {
    let rows = scene.database.rows(&format!(
        "select attempt || ' ' || outcome || ' ' || coalesce(status::text, '-') from attempts \
         where destination = '{destination}' and key = '{POISON}' and version = {version} \
         order by attempted_at, attempt = 0, attempt"
    ));
    rows.into_iter()
        .map(|mut row| row.remove(0).unwrap())
        .collect()
}

fn ledger_version(scene: &Scene) -> i64 {
    scene.database.number(&format!(
        "select version from ledger where key = '{POISON}'"
    ))
}
