//! An endpoint that is away: nothing is charged, it is probed and not hammered, and everything arrives once it is back.

use std::time::{Duration, Instant};

use relay_test_support::history::{acknowledged_versions, order_violations};
use relay_test_support::kafka::Producer;
use relay_test_support::record::Record;
use relay_test_support::relay::{RelayConfig, RelayProcess};
use relay_test_support::scene::Scene;
use relay_test_support::stub_server::{Answer, StubServer};
use relay_test_support::wait::wait_until;

const BINARY: &str = env!("CARGO_BIN_EXE_replicates-relay");
const PATIENCE: Duration = Duration::from_secs(30);

/// Many times as long as the breaker ever waits.
const OUTAGE: Duration = Duration::from_secs(120);

const OPEN_CAP: Duration = Duration::from_secs(5);
const BREAKER: &str = "breaker = { open_base = \"1s\", open_cap = \"5s\" }\n\
    retry = { base = \"500ms\", cap = \"2s\" }";

/// Beside the breaker's wait: the requests themselves, on a busy machine.
const GRACE: Duration = Duration::from_secs(4);

const KEYS: u64 = 300;

#[test]
fn an_outage_spends_no_budget_and_everything_arrives_soon_after_it() {
    let scene = Scene::new();
    let billing_topic = scene.create_topic("monolith", "billing", "Vehicle", 2);
    let search_topic = scene.create_topic("monolith", "search", "Vehicle", 2);
    let (mut billing, search) = (StubServer::accepting(), StubServer::accepting());
    let config = RelayConfig::new(&scene)
        .destination("billing", &billing.url(), BREAKER)
        .destination("search", &search.url(), BREAKER);
    let relay = RelayProcess::start_ready(BINARY, config);
    let producer = Producer::new();
    publish(&producer, &billing_topic, 0..KEYS, 1);
    billing.wait_until("a quiet beginning", PATIENCE, |exchanges| {
        exchanges
            .iter()
            .filter(|exchange| exchange.is_acknowledged())
            .count()
            == 300
    });

    billing.go_down();
    let went_down = now();
    publish(&producer, &billing_topic, 0..KEYS, 2);
    // The other destination goes on at its own pace, one record after the other, for as long as the outage lasts.
    let mut number = 0;
    while now() - went_down < OUTAGE {
        deliver_one(&producer, &search_topic, &search, number);
        number += 1;
    }
    assert!(
        number >= OUTAGE.as_secs(),
        "the other destination got {number} records, one after the other, in {OUTAGE:?}"
    );
    assert_eq!(
        relay.metric("breaker_open{destination=\"billing\"}"),
        Some(1.0)
    );
    assert_eq!(
        relay.metric("breaker_open{destination=\"search\"}"),
        Some(0.0)
    );

    billing.come_up();
    let came_up = now();
    billing.wait_until("everything", OPEN_CAP + GRACE, |exchanges| {
        let versions = acknowledged_versions(exchanges);
        versions.len() == 300 && versions.values().all(|version| *version == 2)
    });
    let took = now() - came_up;
    assert!(
        took < OPEN_CAP + GRACE,
        "all were delivered {took:?} after the return"
    );
    assert!(order_violations(&billing.exchanges()).is_empty());
    wait_until("nothing is undelivered", PATIENCE, || {
        count(&scene, "select count(*) from parked") == 0
    });

    // Requests that were in flight when it went, then one probe at a time: 1, 2, 4, 5, 5 … seconds apart.
    let failed =
        "select count(*) from attempts where destination = 'billing' and outcome = 'retryable'";
    let failed = count(&scene, failed);
    assert!(
        (10..=100).contains(&failed),
        "{failed} attempts failed during the outage"
    );
    let probes = "select count(*) from attempts where destination = 'billing' and outcome = 'retryable' \
         and attempted_at > (select min(attempted_at) + interval '1 second' from attempts \
         where destination = 'billing' and outcome = 'retryable')";
    let probes = count(&scene, probes);
    assert!((10..=27).contains(&probes), "{probes} probes in {OUTAGE:?}");
    let others =
        "select count(*) from attempts where destination = 'search' and outcome <> 'delivered'";
    assert_eq!(count(&scene, others), 0);
}

#[test]
fn nothing_is_charged_during_an_outage() {
    let scene = Scene::new();
    let topic = scene.create_topic("monolith", "billing", "Vehicle", 1);
    let mut billing = StubServer::accepting();
    billing.go_down();
    // A budget of a single attempt: one charge would exhaust the record.
    let breaker =
        "breaker = { open_base = \"200ms\", open_cap = \"500ms\" }\nretry = { max_retries = 0 }";
    let config = RelayConfig::new(&scene).destination("billing", &billing.url(), breaker);
    let relay = RelayProcess::start_ready(BINARY, config);
    publish(&Producer::new(), &topic, 0..5, 1);

    wait_until("ten probes have failed", PATIENCE, || {
        count(
            &scene,
            "select count(*) from attempts where outcome = 'retryable'",
        ) >= 10
    });
    assert_eq!(
        count(&scene, "select count(*) from parked where charged > 0"),
        0
    );
    assert_eq!(
        count(
            &scene,
            "select count(*) from parked where state <> 'parked'"
        ),
        0
    );
    assert_eq!(
        count(
            &scene,
            "select count(*) from attempts where error_class <> 'connect'"
        ),
        0
    );
    assert_eq!(
        relay.metric("undelivered{destination=\"billing\",state=\"exhausted\"}"),
        Some(0.0)
    );

    billing.come_up();
    wait_until("everything is delivered", PATIENCE, || {
        count(&scene, "select count(*) from ledger") == 5
            && count(&scene, "select count(*) from parked") == 0
    });
}

#[test]
fn retry_after_on_a_503_holds_the_whole_destination_for_as_long_as_it_says() {
    const HOLD: Duration = Duration::from_secs(3);
    let scene = Scene::new();
    let topic = scene.create_topic("monolith", "billing", "Vehicle", 1);
    let is_first = std::sync::atomic::AtomicBool::new(true);
    let billing = StubServer::start(move |_| {
        if is_first.swap(false, std::sync::atomic::Ordering::SeqCst) {
            Answer::status(503).header("retry-after", "3")
        } else {
            Answer::ok()
        }
    });
    let config = RelayConfig::new(&scene).destination("billing", &billing.url(), "");
    let relay = RelayProcess::start_ready(BINARY, config);
    let producer = Producer::new();
    publish(&producer, &topic, 0..1, 1);
    billing.wait_until("the answer 503", PATIENCE, |exchanges| {
        exchanges
            .first()
            .is_some_and(|exchange| exchange.status == Some(503))
    });
    wait_until("the destination is held", PATIENCE, || {
        let held = "held_seconds_total{destination=\"billing\",reason=\"retry_after\"}";
        relay.metric(held).is_some_and(|seconds| seconds > 0.0)
    });
    publish(&producer, &topic, 1..20, 1);

    billing.wait_until("everything", PATIENCE, |exchanges| {
        acknowledged_versions(exchanges).len() == 20
    });
    let exchanges = billing.exchanges();
    assert_eq!(exchanges.len(), 21);
    let said = exchanges[0].request.received_at;
    let resumed = exchanges[1..]
        .iter()
        .map(|exchange| exchange.request.received_at)
        .min()
        .unwrap();
    assert!(
        resumed - said >= HOLD,
        "sent again after {:?}",
        resumed - said
    );
    assert_eq!(
        count(
            &scene,
            "select count(*) from attempts where outcome <> 'delivered'"
        ),
        1
    );
}

fn publish(producer: &Producer, topic: &str, keys: std::ops::Range<u64>, version: u64) {
    for key in keys {
        let record = Record::new("monolith", "Vehicle", &key.to_string());
        producer.send(
            topic,
            &record.version(version).text("registration", "KA-01"),
        );
    }
    producer.flush();
}

/// Publishes one record and waits for its request.
fn deliver_one(producer: &Producer, topic: &str, consumer: &StubServer, key: u64) {
    publish(producer, topic, key..key + 1, 1);
    let before = usize::try_from(key).unwrap();
    consumer.wait_until("a record of the other destination", PATIENCE, |exchanges| {
        exchanges.len() > before
    });
}

fn count(scene: &Scene, sql: &str) -> i64 {
    scene.database.number(sql)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the relay is told the time; its tests look at the clock"
)]
fn now() -> Instant {
    Instant::now()
}
