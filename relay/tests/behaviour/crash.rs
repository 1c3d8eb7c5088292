//! kill -9 of the relay, again and again, under load and beside failures: nothing is lost, nothing goes back, and every
//! committed offset can be explained.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use relay_test_support::kafka::{Producer, committed_offsets, end_offsets};
use relay_test_support::lives::Lives;
use relay_test_support::record::Record;
use relay_test_support::relay::{RelayConfig, RelayProcess};
use relay_test_support::scene::Scene;
use relay_test_support::stub_server::{Answer, Request, StubServer};
use relay_test_support::wait::wait_until;

const RECORDS: u64 = 22_000;
const KEYS: u64 = 2_000;
/// One record in four is of one of these, so that a key has several versions between two commits.
const HOT_KEYS: u64 = 50;
const KILLS: u64 = 10;
/// Records published in each of the relay's lives.
const SHARE: u64 = RECORDS / (KILLS + 1);
const PARTITIONS: i32 = 8;

const MAX_RETRIES: u32 = 12;
const IN_PLACE: u32 = 2;

/// Always as many at once: each life would begin with few, and answers get slow on purpose.
const SETTINGS: &str = r#"
concurrency = 32
adaptive = false
retry = { max_retries = 12, in_place = 2, base = "100ms", factor = 1.5, cap = "2s" }
breaker = { open_base = "200ms", open_cap = "1s" }
"#;

/// What every answer takes: a share of the records must outlast several commits.
const USUAL: Duration = Duration::from_millis(15);

/// The last quarter of a share waits for the kill, so that a slow machine cannot come too late for it.
const LATE: Duration = Duration::from_secs(1);

/// 1 % of the records are refused for good, 5 % of the answers are failures, some are slow; above `calm` all are.
fn answer(request: &Request, calm: u64) -> Answer {
    let version = request.version();
    if version > calm {
        return Answer::ok().after(LATE);
    }
    let dice = (version * 31 + u64::from(request.attempt) * 17) % 100;
    if version.is_multiple_of(100) {
        return Answer::status(422).after(USUAL);
    }
    match dice {
        0..5 => Answer::status(500).after(USUAL),
        5..8 => Answer::ok().after(USUAL * 5),
        _ => Answer::ok().after(USUAL),
    }
}

#[test]
fn ten_kills_lose_nothing_and_reorder_nothing() {
    let scene = Scene::new();
    let topic = scene.create_topic("monolith", "billing", "Vehicle", PARTITIONS);
    let calm = Arc::new(AtomicU64::new(0));
    let told = calm.clone();
    let endpoint = StubServer::start(move |request| answer(request, told.load(Ordering::Relaxed)));
    let config = RelayConfig::new(&scene).destination("billing", &endpoint.url(), SETTINGS);
    let mut relay = RelayProcess::start_ready(env!("CARGO_BIN_EXE_replicates-relay"), config);
    let producer = Producer::new();
    let mut newest = HashMap::new();

    let mut lives = Lives::default();
    for kill in 0..KILLS {
        calm.store(kill * SHARE + SHARE * 3 / 4, Ordering::Relaxed);
        publish(&producer, &topic, kill, &mut newest);
        // Half of this share has ended and some of it is committed: what is on its way then is lost if anything can be.
        let half = kill * SHARE + SHARE / 2;
        wait_until("the middle of the load", Duration::from_secs(120), || {
            ended(&scene) >= half
        });
        // Not at the moment of a flush, which has just been seen, but at any between two.
        let any = endpoint.count() + usize::try_from(kill * 37 % 200).unwrap();
        wait_until("some more answers", Duration::from_secs(60), || {
            endpoint.count() >= any
        });
        relay.kill();
        assert!(ended(&scene) < (kill + 1) * SHARE, "the load was over");
        lives.end(&endpoint, &scene);
        relay.restart();
    }
    calm.store(RECORDS, Ordering::Relaxed);
    publish(&producer, &topic, KILLS, &mut newest);
    wait_until("everything to end", Duration::from_secs(180), || {
        committed_offsets(&scene.group("billing"), &topic) == end_offsets(&topic)
            && scene
                .database
                .number("select count(*) from parked where state = 'parked'")
                == 0
    });

    let exchanges = endpoint.exchanges();
    assert_eq!(lives.order_violations(&exchanges), [""; 0]);
    assert_nothing_is_lost(&scene, &newest);
    assert_offsets_are_explained(&scene, &topic);
    assert_attempts_are_exact(&scene, &endpoint);
    assert!(relay.terminate(Duration::from_secs(30)).success());
}

/// Publishes one share of the records and notes which version of each key is the newest.
fn publish(producer: &Producer, topic: &str, share: u64, newest: &mut HashMap<String, u64>) {
    for version in share * SHARE + 1..=(share + 1) * SHARE {
        let key = if version.is_multiple_of(4) {
            format!("hot-{}", version / 4 * 31 % HOT_KEYS)
        } else {
            (version * 7_919 % KEYS).to_string()
        };
        let record = Record::new("monolith", "Vehicle", &key);
        producer.send(topic, &record.version(version).text("plate", "KA-01"));
        newest.insert(key, version);
    }
    producer.flush();
}

/// The newest version of every key is in the ledger, unless the consumer refused it.
fn assert_nothing_is_lost(scene: &Scene, newest: &HashMap<String, u64>) {
    let ended = scene.database.rows(
        "select key, max(version) from (select key, version from ledger
         union all select key, version from parked where state = 'rejected') as ended group by key",
    );
    let ended: HashMap<String, u64> = ended
        .into_iter()
        .filter_map(|row| Some((row[0].clone()?, row[1].as_ref()?.parse().ok()?)))
        .collect();
    assert_eq!(&ended, newest);
}

/// Every offset below the committed ones is in the log, ended, or in `parked`.
fn assert_offsets_are_explained(scene: &Scene, topic: &str) {
    let committed: i64 = committed_offsets(&scene.group("billing"), topic)
        .values()
        .sum();
    assert_eq!(u64::try_from(committed).unwrap(), RECORDS);
    assert_eq!(ended(scene), RECORDS);
}

/// How many offsets the store explains: the log has their end, or their record is in `parked`.
fn ended(scene: &Scene) -> u64 {
    let count = scene.database.number(
        "select count(*) from (select distinct partition_number, offset_number from (
           select partition_number, offset_number from attempts where outcome in ('delivered', 'stale', 'superseded')
           union all select partition_number, offset_number from parked) as either) as ended",
    );
    u64::try_from(count).unwrap()
}

/// No delivery was charged or numbered beyond its budget, and only the tries in place of a killed replica came twice.
fn assert_attempts_are_exact(scene: &Scene, endpoint: &StubServer) {
    let budget = i64::from(1 + MAX_RETRIES);
    assert_eq!(
        scene.database.number(&format!(
            "select count(*) from parked where charged > {budget}"
        )),
        0
    );
    assert_eq!(
        scene.database.number(&format!(
            "select count(*) from attempts where attempt > {budget}"
        )),
        0
    );
    let logged = scene
        .database
        .number("select count(*) from attempts where attempt > 0");
    let sent = i64::try_from(endpoint.count()).unwrap();
    let in_memory = i64::from((1 + IN_PLACE) * 32) * i64::try_from(KILLS).unwrap();
    let unlogged = sent - logged;
    // What a killed replica had answered within its last flush interval, or in flight, was not logged.
    assert!(
        (0..=in_memory * 20).contains(&unlogged),
        "{sent} requests, {logged} logged"
    );
}
