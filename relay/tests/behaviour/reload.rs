//! The configuration is read again while the relay runs: it holds as a whole or not at all, and no record is lost or sent
//! twice by it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use relay_test_support::history::Exchange;
use relay_test_support::kafka::{Producer, committed_offsets, end_offsets};
use relay_test_support::record::Record;
use relay_test_support::relay::{RelayConfig, RelayProcess};
use relay_test_support::scene::Scene;
use relay_test_support::stub_server::{Answer, StubServer};
use relay_test_support::wait::wait_until;

const BINARY: &str = env!("CARGO_BIN_EXE_replicates-relay");
const PATIENCE: Duration = Duration::from_secs(60);
const RELOAD: &str = "/api/v1/config/reload";

/// Other values of everything that an engine, a pool or a consumer works by.
const TURNS: [&str; 4] = [
    "concurrency = 4\nbatch = { max_records = 10 }",
    "concurrency = 16\nconnect_timeout = \"1s\"\nretry = { in_place = 1 }",
    "skip_unchanged = true\nresponse_max = \"1KiB\"\nmask = [\"plate\"]",
    "sources = [\"monolith\"]\nbatch = { max_records = 3, max_wait = \"1ms\" }\nrate_limit = 100000",
];

#[test]
fn settings_that_change_under_load_lose_and_repeat_nothing() {
    let scene = Scene::new();
    let topic = scene.create_topic("monolith", "billing", "Vehicle", 4);
    let consumer = StubServer::accepting();
    let base = RelayConfig::new(&scene);
    let turn = |round: usize, lines: &str| {
        let url = format!("{}/turn/{round}", consumer.url());
        base.clone().destination("billing", &url, lines)
    };
    let relay = RelayProcess::start_ready(BINARY, turn(0, ""));
    let is_over = AtomicBool::new(false);
    let sent = std::thread::scope(|scope| {
        let publishing = scope.spawn(|| publish_until(&topic, &is_over));
        let over = Over(&is_over);
        for round in 1..=12 {
            let lines = TURNS[round % TURNS.len()];
            relay.write_config(&turn(round, lines));
            relay.signal("HUP");
            let path = format!("/replicates_to/turn/{round}");
            wait_until(&format!("requests go to {path}"), PATIENCE, || {
                consumer
                    .exchanges()
                    .iter()
                    .any(|exchange| exchange.request.path == path)
            });
        }
        drop(over);
        publishing.join().unwrap()
    });
    wait_until_all_is_committed(&scene, "billing", &topic);
    let mut versions: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for record in consumer.exchanges().iter().flat_map(records) {
        let key = record["key"].as_str().unwrap().to_owned();
        versions
            .entry(key)
            .or_default()
            .push(record["version"].as_u64().unwrap());
    }
    let delivered: usize = versions.values().map(Vec::len).sum();
    for (key, versions) in &versions {
        assert!(
            versions.is_sorted_by(|one, next| one < next),
            "{key}: {versions:?}"
        );
    }
    let of_keys = i64::try_from(versions.len()).unwrap();
    assert_eq!(
        scene.database.number("select count(*) from ledger"),
        of_keys
    );
    let newest: u64 = versions
        .values()
        .map(|versions| versions[versions.len() - 1])
        .max()
        .unwrap();
    assert_eq!(newest, sent, "the last record");
    let superseded = "select count(*) from attempts where outcome = 'superseded'";
    let superseded = scene.database.number(superseded);
    assert_eq!(
        u64::try_from(delivered).unwrap() + u64::try_from(superseded).unwrap(),
        sent,
        "each was delivered once, or made pointless by a newer one"
    );
    assert!(
        relay
            .output()
            .matches("the configuration was read again and holds")
            .count()
            >= 12
    );
}

/// Ends the publishing when it is dropped, also by a test that fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Records of forty keys, each of another state, with versions that count up. The last version.
fn publish_until(topic: &str, is_over: &AtomicBool) -> u64 {
    let producer = Producer::new();
    let mut version = 0;
    while !is_over.load(Ordering::Relaxed) {
        for _ in 0..50 {
            version += 1;
            let key = (version % 40).to_string();
            let record = Record::new("monolith", "Vehicle", &key).version(version);
            producer.send(topic, &record.text("plate", &version.to_string()));
        }
        producer.flush();
        std::thread::sleep(Duration::from_millis(20));
    }
    version
}

#[test]
fn a_wrong_configuration_changes_nothing_and_is_told_whole() {
    let scene = Scene::new();
    let topic = scene.create_topic("monolith", "billing", "Vehicle", 1);
    let consumer = StubServer::accepting();
    let base = RelayConfig::new(&scene);
    let config = base.clone().destination("billing", &consumer.url(), "");
    let relay = RelayProcess::start_ready(BINARY, config.clone());
    let delivering = "\"message\":\"delivering\",\"destination\":\"billing\"";
    relay.wait_for_output(delivering, PATIENCE);
    assert_eq!(relay.metric("config_reload_success"), Some(1.0));
    let first = relay.metric("config_reload_timestamp_seconds").unwrap();

    let other =
        base.relay("buffer_max = \"64MiB\"")
            .destination("billing", "http://127.0.0.1:1/", "");
    relay.write_config(&other);
    let (status, text) = relay.post(RELOAD, "").unwrap();
    assert_eq!(status, 422, "{text}");
    assert!(text.contains("needs a restart: relay.buffer_max"), "{text}");
    let wrong = "concurrency = 0\ntimout = \"1s\"";
    relay.write_config(
        &config
            .clone()
            .destination("fleet", "http://127.0.0.1:1/", wrong),
    );
    relay.signal("HUP");
    relay.wait_for_output(
        "destinations.fleet.timout is unknown (did you mean timeout?)",
        PATIENCE,
    );
    relay.wait_for_output("destinations.fleet.concurrency must be", PATIENCE);
    assert_eq!(relay.metric("config_reload_success"), Some(0.0));
    assert_eq!(relay.metric("config_reload_timestamp_seconds"), Some(first));
    publish(&topic, 0..5);
    wait_until("it delivers as it did", PATIENCE, || consumer.count() == 5);

    relay.write_config(
        &config.section("destinations.fleet", &format!("url = {:?}", consumer.url())),
    );
    let (status, text) = relay.post(RELOAD, "").unwrap();
    assert_eq!(status, 200, "{text}");
    assert_eq!(relay.metric("config_reload_success"), Some(1.0));
    assert!(relay.metric("config_reload_timestamp_seconds") > Some(first));
    let (_, shown) = relay.fetch("/api/v1/config").unwrap();
    assert!(shown.contains("\"fleet\""), "{shown}");
    let audit = scene
        .database
        .rows("select action, detail from audit order by id");
    assert_eq!(
        audit[0],
        [
            Some("reload".to_owned()),
            Some("refused: 1 problem".to_owned())
        ]
    );
    assert_eq!(audit.len(), 2);
}

#[test]
fn a_destination_that_goes_keeps_what_it_left_undelivered_and_finds_it_when_it_returns() {
    let scene = Scene::new();
    let topic = scene.create_topic("monolith", "billing", "Vehicle", 2);
    let other_topic = scene.create_topic("monolith", "fleet", "Vehicle", 2);
    let consumer = StubServer::start(|request| {
        if request.json()["key"] == "0" {
            Answer::status(422)
        } else {
            Answer::ok()
        }
    });
    let base = RelayConfig::new(&scene);
    let billing = |config: RelayConfig| config.destination("billing", &consumer.url(), "");
    let fleet = |config: RelayConfig| config.destination("fleet", &consumer.url(), "");
    let relay = RelayProcess::start_ready(BINARY, billing(base.clone()));
    publish(&topic, 0..10);
    wait_until_all_is_committed(&scene, "billing", &topic);

    // Nobody says so: the file is looked at.
    relay.write_config(&fleet(base.clone()));
    relay.wait_for_output("drained, and served no more", PATIENCE);
    assert!(state(&relay, "billing").contains("\"state\":\"unconfigured\""));
    assert!(state(&relay, "billing").contains("\"rejected\":1"));
    assert_eq!(relay.metric("lag_seconds{destination=\"billing\"}"), None);
    publish(&topic, 10..20);
    publish(&other_topic, 0..10);
    wait_until_all_is_committed(&scene, "fleet", &other_topic);
    assert_eq!(consumer.count(), 20, "nothing more for billing");

    relay.write_config(&fleet(billing(base)));
    assert_eq!(relay.post(RELOAD, "").unwrap().0, 200);
    wait_until_all_is_committed(&scene, "billing", &topic);
    assert_eq!(consumer.count(), 30, "each once");
    assert!(state(&relay, "billing").contains("\"rejected\":1"));
}

#[test]
fn a_destination_that_goes_and_returns_at_once_is_not_fenced_by_itself() {
    let scene = Scene::new();
    let topic = scene.create_topic("monolith", "billing", "Vehicle", 2);
    let consumer = StubServer::start(|_| Answer::ok().after(Duration::from_millis(500)));
    let base = RelayConfig::new(&scene);
    let with = base.clone().destination("billing", &consumer.url(), "");
    let relay = RelayProcess::start_ready(BINARY, with.clone());
    publish(&topic, 0..40);
    wait_until("requests are on their way", PATIENCE, || {
        consumer.count() > 0
    });
    for config in [&base, &with, &base, &with] {
        relay.write_config(config);
        assert_eq!(relay.post(RELOAD, "").unwrap().0, 200);
    }
    publish(&topic, 40..60);
    wait_until_all_is_committed(&scene, "billing", &topic);
    assert_eq!(consumer.count(), 60, "each once");
}

#[test]
fn topics_of_a_source_that_may_not_deliver_any_more_are_left_alone_until_it_may_again() {
    let scene = Scene::new();
    let monolith = scene.create_topic("monolith", "billing", "Vehicle", 2);
    let other = scene.create_topic("accounts", "billing", "Vehicle", 2);
    let consumer = StubServer::accepting();
    let base = RelayConfig::new(&scene);
    let all = base.clone().destination("billing", &consumer.url(), "");
    let one = base.destination("billing", &consumer.url(), "sources = [\"monolith\"]");
    let relay = RelayProcess::start_ready(BINARY, all.clone());
    let both = |keys: std::ops::Range<u64>| {
        publish(&monolith, keys.clone());
        publish_as(&other, "accounts", keys);
    };
    both(0..10);
    wait_until_all_is_committed(&scene, "billing", &monolith);
    wait_until_all_is_committed(&scene, "billing", &other);
    relay.write_config(&one);
    assert_eq!(relay.post(RELOAD, "").unwrap().0, 200);
    relay.wait_for_output("partitions revoked", PATIENCE);
    both(10..20);
    wait_until_all_is_committed(&scene, "billing", &monolith);
    assert_eq!(consumer.count(), 30, "nothing more of accounts");
    relay.write_config(&all);
    assert_eq!(relay.post(RELOAD, "").unwrap().0, 200);
    wait_until_all_is_committed(&scene, "billing", &other);
    assert_eq!(consumer.count(), 40, "each once");
}

#[test]
fn a_longer_retention_finds_partitions_of_the_log() {
    let scene = Scene::new();
    let base = RelayConfig::new(&scene);
    let of = |retention: &str| {
        let lines = format!("retention = {{ failure = {retention:?} }}");
        base.clone()
            .destination("billing", "http://127.0.0.1:1/", &lines)
    };
    let relay = RelayProcess::start_ready(BINARY, of("10d"));
    let partitions = "select count(*) from pg_inherits where inhparent = 'attempts'::regclass";
    let before = scene.database.number(partitions);
    relay.write_config(&of("60d"));
    assert_eq!(relay.post(RELOAD, "").unwrap().0, 200);
    wait_until("there is room for 60 days", PATIENCE, || {
        scene.database.number(partitions) == before + 50
    });
}

#[test]
fn a_relay_that_drains_refuses_to_read_its_configuration_and_ends_in_time() {
    let scene = Scene::new();
    let topic = scene.create_topic("monolith", "billing", "Vehicle", 1);
    let consumer = StubServer::start(|_| Answer::ok().after(Duration::from_secs(3)));
    let config = RelayConfig::new(&scene).destination("billing", &consumer.url(), "");
    let mut relay = RelayProcess::start_ready(BINARY, config);
    publish(&topic, 0..1);
    wait_until("a request is on its way", PATIENCE, || {
        consumer.count() == 1
    });
    relay.signal("TERM");
    relay.wait_for_output("draining: requests in flight end", PATIENCE);
    let answer = relay.post(RELOAD, "");
    let text = format!("{answer:?}");
    assert!(
        matches!(answer, Some((503, _))) && text.contains("the relay is ending"),
        "{text}"
    );
    assert!(relay.wait_for_exit(Duration::from_secs(20)).success());
}

fn records(exchange: &Exchange) -> Vec<serde_json::Value> {
    let body = exchange.request.json();
    match body["records"].as_array() {
        Some(records) => records.clone(),
        None => vec![body],
    }
}

fn publish(topic: &str, keys: std::ops::Range<u64>) {
    publish_as(topic, "monolith", keys);
}

fn publish_as(topic: &str, source: &str, keys: std::ops::Range<u64>) {
    let producer = Producer::new();
    for key in keys {
        producer.send(topic, &Record::new(source, "Vehicle", &key.to_string()));
    }
    producer.flush();
}

fn state(relay: &RelayProcess, destination: &str) -> String {
    let path = format!("/api/v1/destinations/{destination}");
    relay.fetch(&path).unwrap().1
}

fn wait_until_all_is_committed(scene: &Scene, destination: &str, topic: &str) {
    wait_until("everything is delivered and committed", PATIENCE, || {
        committed_offsets(&scene.group(destination), topic) == end_offsets(topic)
    });
}
