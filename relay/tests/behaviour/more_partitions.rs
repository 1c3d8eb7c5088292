//! A topic gets more partitions while records are undelivered: they move with their keys, each is sent by one replica at a
//! time, and nothing older arrives after what is newer.

use std::time::Duration;

use relay_core::partitioner::partition_of;
use relay_test_support::history::{Exchange, order_violations, overlaps};
use relay_test_support::kafka::{
    Producer, add_partitions, committed_offsets, create_topic, delete_topic, end_offsets,
};
use relay_test_support::record::Record;
use relay_test_support::relay::{RelayConfig, RelayProcess};
use relay_test_support::scene::Scene;
use relay_test_support::stub_server::{Answer, Request, StubServer};
use relay_test_support::wait::wait_until;

const BINARY: &str = env!("CARGO_BIN_EXE_replicates-relay");
const PATIENCE: Duration = Duration::from_secs(60);

const BEFORE: i32 = 2;
const AFTER: i32 = 6;
const KEYS: u64 = 40;

/// Refused keys wait in the store, longer than it takes to move them.
const LATE_RETRY: &str = "concurrency = 16\nadaptive = false\n\
     retry = { max_retries = 50, in_place = 0, base = \"8s\", factor = 1.0, cap = \"8s\", jitter = 0.0 }";

/// Three records of four are taken.
fn is_refused(key: &str) -> bool {
    key.parse::<u64>().unwrap().is_multiple_of(4)
}

fn answer(request: &Request) -> Answer {
    Answer::status(if is_refused(request.key()) { 409 } else { 200 })
}

fn publish(producer: &Producer, topic: &str, version: u64) {
    for key in 0..KEYS {
        producer.send(topic, &vehicle(key, version));
    }
    producer.flush();
}

fn vehicle(key: u64, version: u64) -> Record {
    Record::new("monolith", "Vehicle", &key.to_string()).version(version)
}

#[test]
fn what_is_undelivered_moves_with_its_key_to_another_replica_and_is_sent_there() {
    let scene = Scene::new();
    let topic = scene.create_topic("monolith", "billing", "Vehicle", BEFORE);
    let consumer = StubServer::start(answer);
    let config = RelayConfig::new(&scene).destination("billing", &consumer.url(), LATE_RETRY);
    let first = RelayProcess::start_ready(BINARY, config.clone());
    let second = RelayProcess::start_ready(BINARY, config.replica("relay-2"));
    publish(&Producer::new(), &topic, 1);
    wait_until_all_is_committed(&scene, &topic);
    let undelivered = || {
        scene.database.rows(
            "select key, partition_number::text, coalesce(read_partition, partition_number)::text from parked
             where not moved order by key::int",
        )
    };
    let refused: Vec<u64> = (0..KEYS)
        .filter(|key| is_refused(&key.to_string()))
        .collect();
    let among = |before: i32, after: i32| -> Vec<Vec<Option<String>>> {
        let rows = refused.iter().map(|key| {
            let key = key.to_string();
            let of = |count| partition_of(key.as_bytes(), count).to_string();
            vec![Some(key.clone()), Some(of(after)), Some(of(before))]
        });
        rows.collect()
    };
    assert_eq!(undelivered(), among(BEFORE, BEFORE));

    add_partitions(&topic, AFTER);
    wait_until("each is found by its next owner", PATIENCE, || {
        undelivered() == among(BEFORE, AFTER)
    });
    let is_said = |relay: &&RelayProcess| relay.output().contains("another number of partitions");
    let relays = [&first, &second];
    wait_until("people are told", PATIENCE, || relays.iter().any(is_said));
    assert_eq!(
        relays.iter().filter(|relay| is_said(relay)).count(),
        1,
        "once"
    );

    // Newer versions of all keys, by a producer that knows the new partitions.
    publish(&Producer::new(), &topic, 2);
    wait_until_all_is_committed(&scene, &topic);
    consumer.answer_with(|_| Answer::ok());
    wait_until("nothing is undelivered", PATIENCE, || {
        scene.database.number("select count(*) from parked") == 0
    });
    let exchanges = consumer.exchanges();
    assert_eq!(order_violations(&exchanges), Vec::<String>::new());
    assert_eq!(overlaps(&exchanges), Vec::<String>::new());
    for key in 0..KEYS {
        let mut taken = exchanges.iter().filter(|exchange| {
            exchange.request.key() == key.to_string() && exchange.status == Some(200)
        });
        assert_eq!(taken.next_back().unwrap().request.version(), 2, "{key}");
    }
    let retried =
        "select count(*) from attempts where attempt = 1 and version = 1 and outcome = 'retryable'";
    assert_eq!(
        usize::try_from(scene.database.number(retried)),
        Ok(refused.len())
    );
    let misread = format!(
        "select count(*) from attempts where topic = '{topic}' and version = 1 and partition_number >= {BEFORE}"
    );
    assert_eq!(
        scene.database.number(&misread),
        0,
        "the log says where it was read"
    );
}

#[test]
fn a_topic_that_was_made_anew_with_fewer_partitions_keeps_what_is_undelivered_and_is_read_from_its_beginning()
 {
    let scene = Scene::new();
    let topic = scene.create_topic("monolith", "billing", "Vehicle", AFTER);
    let consumer = StubServer::start(answer);
    let config = RelayConfig::new(&scene).destination("billing", &consumer.url(), LATE_RETRY);
    let relay = RelayProcess::start_ready(BINARY, config);
    publish(&Producer::new(), &topic, 1);
    wait_until_all_is_committed(&scene, &topic);
    let lost = "\"is_lost\":";
    let revocations = |relay: &RelayProcess| relay.output().matches(lost).count();
    let before = revocations(&relay);
    delete_topic(&topic);
    wait_until("it has no partition any more", PATIENCE, || {
        revocations(&relay) > before
    });

    create_topic(&topic, BEFORE, &[]);
    consumer.answer_with(|_| Answer::ok());
    let producer = Producer::new();
    for key in (0..KEYS).filter(|key| !is_refused(&key.to_string())) {
        producer.send(&topic, &vehicle(key, 2));
    }
    producer.flush();
    wait_until_all_is_committed(&scene, &topic);
    wait_until("nothing is undelivered", PATIENCE, || {
        scene.database.number("select count(*) from parked") == 0
    });
    let exchanges = consumer.exchanges();
    for key in 0..KEYS {
        let newest = if is_refused(&key.to_string()) { 1 } else { 2 };
        let its = |exchange: &&Exchange| exchange.request.key() == key.to_string();
        let mut taken = exchanges
            .iter()
            .filter(its)
            .filter(|exchange| exchange.status == Some(200));
        assert_eq!(
            taken.next_back().unwrap().request.version(),
            newest,
            "{key}"
        );
    }
    assert_eq!(order_violations(&exchanges), Vec::<String>::new());
    assert_eq!(overlaps(&exchanges), Vec::<String>::new());
}

#[test]
fn a_record_outside_of_its_keys_partition_is_delivered_unless_it_is_stale() {
    let scene = Scene::new();
    let topic = scene.create_topic("monolith", "billing", "Vehicle", BEFORE);
    let consumer = StubServer::accepting();
    let config = RelayConfig::new(&scene).destination("billing", &consumer.url(), "");
    let relay = RelayProcess::start_ready(BINARY, config);
    let producer = Producer::new();
    let right = partition_of(b"1", BEFORE);
    let wrong = 1 - right;
    let committed = |partition, offset| {
        wait_until("it is read and committed", PATIENCE, || {
            let offsets = committed_offsets(&scene.group("billing"), &topic);
            offsets.get(&partition) == Some(&offset)
        });
    };
    producer.send_to(&topic, right, &vehicle(1, 5));
    producer.flush();
    committed(right, 1);
    // Above everything that was acknowledged of its own partition, and below what was of its key.
    producer.send_to(&topic, wrong, &vehicle(1, 4));
    producer.send_to(&topic, wrong, &vehicle(1, 6));
    producer.flush();
    committed(wrong, 2);
    let versions: Vec<_> = consumer
        .exchanges()
        .iter()
        .map(|one| one.request.version())
        .collect();
    assert!(versions == [5, 6], "{versions:?}");
    wait_until("it is counted", PATIENCE, || {
        relay.metric("misplaced_records{destination=\"billing\"}") == Some(2.0)
    });
    relay.wait_for_output("not in the partitions of their keys", PATIENCE);
}

fn wait_until_all_is_committed(scene: &Scene, topic: &str) {
    wait_until("everything is read and committed", PATIENCE, || {
        committed_offsets(&scene.group("billing"), topic) == end_offsets(topic)
    });
}
