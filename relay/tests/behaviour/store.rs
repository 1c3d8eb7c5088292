//! The store is away, or full, or has a lot to give back at once: delivery holds or goes on, and nothing is lost by it.

use std::collections::HashSet;
use std::time::Duration;

use relay_test_support::kafka::{Producer, committed_offsets, end_offsets};
use relay_test_support::record::Record;
use relay_test_support::relay::{RelayConfig, RelayProcess};
use relay_test_support::scene::Scene;
use relay_test_support::stub_server::{Answer, StubServer};
use relay_test_support::tcp_proxy::{Flow, TcpProxy};
use relay_test_support::wait::wait_until;

const BINARY: &str = env!("CARGO_BIN_EXE_replicates-relay");
const PATIENCE: Duration = Duration::from_secs(120);

/// A tenth of what may be answered and not written.
const FLUSH_ROWS: usize = 20;

/// Requests in flight when the sending stops.
const CONCURRENCY: usize = 16;

/// What arrives while the store is away is many times what the relay may hold of it: 120 MB.
const NOTES_BYTES: usize = 20_000;
const ARRIVING: u64 = 6_000;

/// What the relay may grow by meanwhile: what it read before it stopped reading, librdkafka's buffer, and some room.
const GROWTH_MAX: u64 = 64 << 20;

const HOLDS: &str = "the log cannot be written; delivery holds until it can";

fn publish(topic: &str, keys: std::ops::Range<u64>) {
    publish_with(topic, keys, "");
}

fn publish_with(topic: &str, keys: std::ops::Range<u64>, notes: &str) {
    let producer = Producer::new();
    for key in keys {
        // Above all that was acknowledged: the ledger need not be asked.
        let record = Record::new("monolith", "Vehicle", &key.to_string()).version(key + 1);
        producer.send(topic, &record.text("notes", notes));
    }
    producer.flush();
}

fn wait_until_all_is_committed(scene: &Scene, topic: &str) {
    wait_until("everything is delivered and committed", PATIENCE, || {
        committed_offsets(&scene.group("billing"), topic) == end_offsets(topic)
    });
}

/// Sending has stopped: what is answered is as much as may wait for the store, and no more comes.
fn wait_until_it_holds(relay: &RelayProcess, consumer: &StubServer) -> usize {
    wait_until("the relay says that delivery holds", PATIENCE, || {
        relay.output().contains(HOLDS)
    });
    wait_until("as much is answered as may wait", PATIENCE, || {
        consumer.count() >= FLUSH_ROWS * 10
    });
    let answered = consumer.count();
    assert!(answered <= FLUSH_ROWS * 10 + CONCURRENCY, "{answered}");
    answered
}

fn config(scene: &Scene, consumer: &StubServer) -> RelayConfig {
    let lines = format!("concurrency = {CONCURRENCY}\nadaptive = false\nlog_body = \"all\"");
    RelayConfig::new(scene)
        .section("log", &format!("flush_rows = {FLUSH_ROWS}"))
        .destination("billing", &consumer.url(), &lines)
}

#[test]
fn while_the_store_is_away_little_is_sent_and_all_of_it_is_logged_once_it_is_back() {
    let scene = Scene::new();
    let topic = scene.create_topic("monolith", "billing", "Vehicle", 4);
    let consumer = StubServer::accepting();
    let cable = TcpProxy::to(host_and_port(scene.database.url()));
    let config = config(&scene, &consumer).store_url(&cable.url(scene.database.url()));
    let relay = RelayProcess::start_ready(BINARY, config);
    publish(&topic, 0..8);
    wait_until_all_is_committed(&scene, &topic);
    consumer.forget();
    let before = resident_bytes(relay.pid());

    cable.set(Flow::Cut);
    let notes = "x".repeat(NOTES_BYTES);
    publish_with(&topic, 8..ARRIVING / 2, &notes);
    wait_until_it_holds(&relay, &consumer);
    publish_with(&topic, ARRIVING / 2..ARRIVING, &notes);
    let tries = || relay.output().matches(HOLDS).count();
    let until_then = tries();
    wait_until("a whole try to write more", PATIENCE, || {
        tries() > until_then + 1
    });
    let after = resident_bytes(relay.pid());
    assert!(
        after < before + GROWTH_MAX,
        "{before} bytes, then {after} of {} that came",
        ARRIVING * NOTES_BYTES as u64
    );
    let answered = consumer.count();
    assert!(answered <= FLUSH_ROWS * 10 + CONCURRENCY, "{answered}");
    let committed = committed_offsets(&scene.group("billing"), &topic);
    assert_eq!(
        committed.values().sum::<i64>(),
        8,
        "nothing that is not logged"
    );
    cable.set(Flow::Pass);
    wait_until_all_is_committed(&scene, &topic);
    let sent = usize::try_from(ARRIVING).unwrap() - 8;
    assert_each_is_delivered_and_logged_once(&scene, &consumer, sent, ARRIVING.cast_signed());
}

#[test]
fn a_full_disk_holds_delivery_and_costs_no_row_its_body() {
    let scene = Scene::new();
    let topic = scene.create_topic("monolith", "billing", "Vehicle", 4);
    let consumer = StubServer::accepting();
    let relay = RelayProcess::start_ready(BINARY, config(&scene, &consumer));
    // What PostgreSQL answers when a file cannot grow; a disk of the tests' own to be filled is not to be had everywhere.
    scene.database.execute(
        "create function refuse() returns trigger language plpgsql as
         $$ begin raise exception 'could not extend file: No space left on device' using errcode = '53100'; end $$",
    );
    scene.database.execute(
        "create trigger no_space before insert on ledger for each statement execute function refuse()",
    );
    publish(&topic, 0..2_000);
    wait_until_it_holds(&relay, &consumer);
    assert_eq!(scene.database.number("select count(*) from attempts"), 0);
    scene.database.execute("drop trigger no_space on ledger");
    wait_until_all_is_committed(&scene, &topic);
    assert_each_is_delivered_and_logged_once(&scene, &consumer, 2_000, 2_000);
    let bodies = "select count(*) from attempts where request_body is not null";
    assert_eq!(
        scene.database.number(bodies),
        2_000,
        "no row was taken for a bad one"
    );
}

#[test]
fn ten_thousand_records_that_are_due_at_once_are_delivered_once_each_in_little_memory() {
    const RECORDS: u64 = 10_000;
    let scene = Scene::new();
    let topic = scene.create_topic("monolith", "billing", "Vehicle", 4);
    let consumer = StubServer::start(|_| Answer::status(409));
    let lines = "concurrency = 16\nretry = { max_retries = 100, in_place = 0, base = \"10m\", jitter = 0.0 }";
    let config = RelayConfig::new(&scene).destination("billing", &consumer.url(), lines);
    let mut relay = RelayProcess::start_ready(BINARY, config);
    publish(&topic, 0..RECORDS);
    wait_until_all_is_committed(&scene, &topic);
    let parked = "select count(*) from parked where state = 'parked'";
    assert_eq!(scene.database.number(parked).unsigned_abs(), RECORDS);
    let before = resident_bytes(relay.pid());
    consumer.answer_with(|_| Answer::ok());
    consumer.forget();
    // As if their time had come while no relay was there.
    relay.kill();
    scene
        .database
        .execute("update parked set next_attempt_at = now() - interval '1 minute'");
    relay.restart();
    wait_until("nothing is parked any more", PATIENCE, || {
        scene.database.number("select count(*) from parked") == 0
    });
    let keys: HashSet<_> = consumer
        .exchanges()
        .iter()
        .map(|exchange| exchange.request.json()["key"].to_string())
        .collect();
    assert_eq!(
        (consumer.count() as u64, keys.len() as u64),
        (RECORDS, RECORDS)
    );
    let after = resident_bytes(relay.pid());
    assert!(after < before + (64 << 20), "{before} bytes, then {after}");
}

fn assert_each_is_delivered_and_logged_once(
    scene: &Scene,
    consumer: &StubServer,
    sent: usize,
    records: i64,
) {
    assert_eq!(consumer.count(), sent, "each once");
    let delivered = "select count(*) from attempts where outcome = 'delivered'";
    assert_eq!(scene.database.number(delivered), records);
    assert_eq!(
        scene.database.number("select count(*) from ledger"),
        records
    );
}

/// Of `postgres://user@host:port/name`.
fn host_and_port(url: &str) -> &str {
    let (_, rest) = url.split_once('@').unwrap();
    rest.split_once('/').unwrap().0
}

/// What a process holds in memory.
fn resident_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: u64 = line
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    kib * 1024
}
