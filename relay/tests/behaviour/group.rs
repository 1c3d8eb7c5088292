//! Several relays share the work: partitions move, one dies, one comes back, and the promises hold.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use relay_test_support::history::{Exchange, acknowledged_versions, overlaps};
use relay_test_support::kafka::{Producer, committed_offsets, end_offsets, is_rebalancing};
use relay_test_support::lives::Lives;
use relay_test_support::record::Record;
use relay_test_support::relay::{RelayConfig, RelayProcess};
use relay_test_support::scene::Scene;
use relay_test_support::stub_server::{Answer, Request, StubServer};
use relay_test_support::wait::wait_until;
use serde_json::Value;

const RELAY: &str = env!("CARGO_BIN_EXE_replicates-relay");
const RECORDS: u64 = 12_000;
const KEYS: u64 = 3_000;
/// One record in four is of one of these, so that a key has a newer version when its partition moves.
const HOT_KEYS: u64 = 100;

fn key(version: u64) -> String {
    if version.is_multiple_of(4) {
        format!("hot-{}", version / 4 * 31 % HOT_KEYS)
    } else {
        (version * 7_919 % KEYS).to_string()
    }
}

/// Some answers, each of another hot key, take longer than a rebalance: a partition that moves must wait for them.
fn answer(request: &Request) -> Answer {
    let is_slow = request.version().is_multiple_of(132);
    Answer::ok().after(Duration::from_millis(if is_slow { 4_000 } else { 15 }))
}

fn publish(producer: &Producer, topic: &str, versions: std::ops::RangeInclusive<u64>) {
    for version in versions {
        let record = Record::new("monolith", "Vehicle", &key(version));
        producer.send(topic, &record.version(version));
    }
    producer.flush();
}

#[test]
fn a_relay_that_joins_and_one_that_is_killed_lose_nothing_and_keep_the_order() {
    let scene = Scene::new();
    let topic = scene.create_topic("monolith", "billing", "Vehicle", 8);
    let endpoint = StubServer::start(answer);
    // Always as many at once: of what waits only the newest is sent, and there must be enough for three.
    let config = RelayConfig::new(&scene)
        .kafka("session_timeout = \"6s\"")
        .destination(
            "billing",
            &endpoint.url(),
            "concurrency = 16\nadaptive = false\nretry = { base = \"100ms\" }",
        );
    let producer = Producer::new();
    let mut first = RelayProcess::start_ready(RELAY, config.clone());
    let mut second = RelayProcess::start_ready(RELAY, config.replica("relay-2"));
    publish(&producer, &topic, 1..=RECORDS / 2);
    wait_until("both to work", Duration::from_secs(60), || {
        endpoint.count() > 1_000
    });

    let mut third = RelayProcess::start_ready(RELAY, config.replica("relay-3"));
    publish(&producer, &topic, RECORDS / 2 + 1..=RECORDS / 4 * 3);
    third.wait_for_output("\"partitions\":\"[\\\"", Duration::from_secs(60));
    // However long that took, there is enough for three.
    let moved = endpoint.count();
    publish(&producer, &topic, RECORDS / 4 * 3 + 1..=RECORDS);
    wait_until("all three to work", Duration::from_secs(60), || {
        endpoint.count() > moved + 1_000
    });
    let mut lives = Lives::default();
    assert_eq!(overlaps(&endpoint.exchanges()), [""; 0]);
    second.kill();
    lives.end(&endpoint, &scene);

    wait_until(
        "everything to be delivered",
        Duration::from_secs(120),
        || committed_offsets(&scene.group("billing"), &topic) == end_offsets(&topic),
    );
    let exchanges = endpoint.exchanges();
    assert_eq!(lives.order_violations(&exchanges), [""; 0]);
    let newest: HashMap<String, u64> = (1..=RECORDS)
        .map(|version| (format!("monolith/Vehicle/{}", key(version)), version))
        .collect();
    assert_eq!(acknowledged_versions(&exchanges), newest);
    assert!(first.terminate(Duration::from_secs(30)).success());
    assert!(third.terminate(Duration::from_secs(30)).success());
}

/// One relay stands still while the third one joins, and another one in the middle of its own join, because of that. What it
/// had is the third one's then, and so is everything that it had thought of sending.
#[test]
fn a_relay_that_stood_still_for_longer_than_its_session_sends_nothing_before_it_has_joined_anew() {
    let scene = Scene::new();
    let topic = scene.create_topic("monolith", "billing", "Vehicle", 8);
    let endpoint = StubServer::start(|_| Answer::ok().after(Duration::from_millis(100)));
    let config = |name: &str| {
        RelayConfig::new(&scene)
            .replica(name)
            .kafka("session_timeout = \"10s\"")
            .destination(
                "billing",
                &format!("{}/{name}", endpoint.url()),
                "concurrency = 8\nadaptive = false",
            )
    };
    let mut first = RelayProcess::start_ready(RELAY, config("relay-1"));
    let mut second = RelayProcess::start_ready(RELAY, config("relay-2"));
    let producer = Producer::new();
    for version in 1..=RECORDS {
        let record = Record::new("monolith", "Vehicle", &version.to_string());
        producer.send(&topic, &record.version(version));
    }
    producer.flush();
    let sent_by = |name: &str| {
        let exchanges = endpoint.exchanges();
        let is_its = |exchange: &&Exchange| exchange.request.path.ends_with(name);
        exchanges.iter().filter(is_its).count()
    };
    wait_until("both to work", Duration::from_secs(60), || {
        sent_by("relay-1") > 50 && sent_by("relay-2") > 50
    });

    second.signal("STOP");
    let mut third = RelayProcess::start(RELAY, config("relay-3"));
    wait_until("the third to join", Duration::from_secs(60), || {
        is_rebalancing(&scene.group("billing")) || !given(&third).is_empty()
    });
    // It hears of that with its next heartbeat, every 2.5 s.
    let later = sent_by("relay-1") + 240;
    wait_until("its next heartbeat", Duration::from_secs(60), || {
        sent_by("relay-1") > later
    });
    first.signal("STOP");
    second.kill();
    wait_until("the third to have all", Duration::from_secs(60), || {
        let given: HashSet<_> = given(&third).into_iter().collect();
        given.len() == 8
    });

    let (sent, given_before) = (sent_by("relay-1"), given(&first).len());
    first.signal("CONT");
    wait_until("it to send again", Duration::from_secs(60), || {
        let has_sent = sent_by("relay-1") > sent;
        assert!(!has_sent || given(&first).len() > given_before);
        has_sent
    });
    first.wait_for_output("joins its groups anew", Duration::from_secs(1));
    endpoint.answer_with(|_| Answer::ok());
    wait_until(
        "everything to be delivered",
        Duration::from_secs(120),
        || committed_offsets(&scene.group("billing"), &topic) == end_offsets(&topic),
    );
    assert!(first.terminate(Duration::from_secs(30)).success());
    assert!(third.terminate(Duration::from_secs(30)).success());
}

/// The partitions that a relay was given so far, one of them maybe more than once.
fn given(relay: &RelayProcess) -> Vec<String> {
    let output = relay.output();
    let lines = output.lines().map(serde_json::from_str::<Value>);
    let assigned = lines
        .filter_map(Result::ok)
        .filter(|line| line["message"] == "partitions assigned");
    let names =
        |line: Value| serde_json::from_str::<Vec<String>>(line["partitions"].as_str()?).ok();
    assigned.filter_map(names).flatten().collect()
}

/// Peers stay silent until the dead member's session has run out; a static member takes its partitions at once.
#[test]
fn a_relay_that_comes_back_under_its_name_delivers_long_before_its_session_ends() {
    let scene = Scene::new();
    let topic = scene.create_topic("monolith", "billing", "Vehicle", 4);
    let endpoint = StubServer::accepting();
    let config = RelayConfig::new(&scene)
        .kafka("session_timeout = \"45s\"")
        .destination("billing", &endpoint.url(), "");
    let producer = Producer::new();
    let mut relay = RelayProcess::start_ready(RELAY, config);
    publish(&producer, &topic, 1..=1);
    wait_until("the first record", Duration::from_secs(60), || {
        endpoint.count() == 1
    });

    relay.kill();
    publish(&producer, &topic, 2..=2);
    relay.restart();
    let meanwhile = "the record published meanwhile";
    wait_until(meanwhile, Duration::from_secs(15), || {
        let exchanges = endpoint.exchanges();
        exchanges
            .iter()
            .any(|exchange| exchange.request.version() == 2)
    });
    assert!(relay.terminate(Duration::from_secs(30)).success());
}

#[test]
fn of_two_relays_with_one_name_the_older_says_so_and_ends() {
    let scene = Scene::new();
    let topic = scene.create_topic("monolith", "billing", "Vehicle", 2);
    let endpoint = StubServer::accepting();
    let config = RelayConfig::new(&scene).destination("billing", &endpoint.url(), "");
    let producer = Producer::new();
    let mut older = RelayProcess::start_ready(RELAY, config.clone());
    publish(&producer, &topic, 1..=10);
    wait_until("the older one to deliver", Duration::from_secs(60), || {
        endpoint.count() >= 1
    });

    let mut newer = RelayProcess::start_ready(RELAY, config.replica("relay-1"));
    let ended = older.wait_for_exit(Duration::from_secs(60));
    assert_eq!(ended.code(), Some(1));
    older.wait_for_output(
        "two replicas must not share relay.name",
        Duration::from_secs(5),
    );
    publish(&producer, &topic, 11..=20);
    wait_until("the newer one to deliver", Duration::from_secs(60), || {
        committed_offsets(&scene.group("billing"), &topic) == end_offsets(&topic)
    });
    assert!(newer.terminate(Duration::from_secs(30)).success());
}

#[test]
fn a_relay_whose_name_was_taken_in_one_group_gives_up_its_part_of_the_others_and_ends() {
    let scene = Scene::new();
    let endpoint = StubServer::accepting();
    let producer = Producer::new();
    for destination in ["billing", "search"] {
        let topic = scene.create_topic("monolith", destination, "Vehicle", 2);
        publish(&producer, &topic, 1..=10);
    }
    let billing = RelayConfig::new(&scene).destination("billing", &endpoint.url(), "");
    let both = billing.clone().destination("search", &endpoint.url(), "");
    let mut older = RelayProcess::start_ready(RELAY, both);
    wait_until(
        "the older one to deliver both",
        Duration::from_secs(60),
        || endpoint.count() >= 20,
    );

    let _newer = RelayProcess::start_ready(RELAY, billing.replica("relay-1"));
    let ended = older.wait_for_exit(Duration::from_secs(30));
    assert_eq!(ended.code(), Some(1));
    assert!(
        older
            .output()
            .contains("two replicas must not share relay.name"),
        "{}",
        older.output()
    );
}
