//! Requests that carry several records: each is answered for by itself, and one that is wrong costs the others nothing.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use relay_test_support::history::Exchange;
use relay_test_support::kafka::{Producer, committed_offsets, end_offsets};
use relay_test_support::record::Record;
use relay_test_support::relay::{RelayConfig, RelayProcess};
use relay_test_support::scene::Scene;
use relay_test_support::stub_server::{Answer, Request, StubServer};
use relay_test_support::wait::wait_until;
use serde_json::{Value, json};

const BINARY: &str = env!("CARGO_BIN_EXE_replicates-relay");
const PATIENCE: Duration = Duration::from_secs(30);

const IN_BATCHES: &str = r#"
batch = { max_records = 20, max_wait = "200ms" }
retry = { max_retries = 2, in_place = 1, base = "100ms", factor = 1.0, jitter = 0.0 }
log_body = "all"
"#;

#[test]
fn each_record_of_a_batch_is_answered_for_by_itself() {
    let scene = Scene::new();
    let topic = scene.create_topic("monolith", "billing", "Vehicle", 2);
    // One is refused; of another nothing is said, until it comes for the second time.
    let was_silent = AtomicBool::new(false);
    let consumer = StubServer::start(move |request| {
        let result = |record: &Value| {
            let id = record["id"].as_str().unwrap();
            match record["key"].as_str().unwrap() {
                "7" => Some(json!({"id": id, "status": "rejected", "error": "plate is blank"})),
                "8" if !was_silent.swap(true, Ordering::Relaxed) => None,
                _ => Some(json!({"id": id, "status": "applied"})),
            }
        };
        let results: Vec<_> = records(request).iter().filter_map(result).collect();
        Answer::ok().json(&json!({ "results": results }).to_string())
    });
    let config = RelayConfig::new(&scene)
        .destination("billing", &consumer.url(), IN_BATCHES)
        .section("log", "compress = false");
    let _relay = RelayProcess::start_ready(BINARY, config);
    publish(&topic, 0..100);
    wait_until_all_is_committed(&scene, &topic);
    wait_until("all but one are delivered", PATIENCE, || {
        scene.database.number("select count(*) from ledger") == 99
    });

    let exchanges = consumer.exchanges();
    assert!(exchanges.len() < 50, "{} requests", exchanges.len());
    for Exchange { request, .. } in &exchanges {
        let keys: Vec<_> = records(request)
            .iter()
            .map(|record| record["key"].to_string())
            .collect();
        let distinct: HashSet<_> = keys.iter().collect();
        assert!(keys.len() <= 20 && distinct.len() == keys.len(), "{keys:?}");
        assert!(request.id().starts_with("bat_"), "{}", request.id());
    }
    let refused = "select key, state, error, attempts::text, charged::text from parked";
    let said = |text: &str| Some(text.to_owned());
    assert_eq!(
        scene.database.rows(refused),
        [[
            said("7"),
            said("rejected"),
            said("answered rejected: plate is blank"),
            said("1"),
            said("0")
        ]]
    );
    let missed = "select count(*) from attempts where key = '8' and outcome = 'retryable' and error_class = 'batch_result_missing'";
    assert_eq!(scene.database.number(missed), 1);

    let without_id = "select count(*) from attempts where attempt > 0 and batch_id is null";
    assert_eq!(scene.database.number(without_id), 0);
    let ids = "select count(distinct batch_id) from attempts";
    assert_eq!(
        scene.database.number(ids),
        i64::try_from(exchanges.len()).unwrap()
    );
    let body = "select convert_from(request_body, 'utf8') from attempts where key = '9'";
    let body = scene.database.rows(body)[0][0].clone().unwrap();
    let body: Value = serde_json::from_str(&body).unwrap();
    let logged = body["records"].as_array().unwrap();
    assert_eq!(
        (logged.len(), &logged[0]["key"]),
        (1, &json!("9")),
        "the log keeps of a batch what its row is about"
    );
}

#[test]
fn a_batch_that_is_refused_as_a_whole_is_taken_apart_until_it_is_known_whose_fault_it_is() {
    let scene = Scene::new();
    let topic = scene.create_topic("monolith", "billing", "Vehicle", 1);
    // It knows no results: one bad record of a request is all it says, by a status; so is one that makes it fail.
    let consumer = StubServer::start(|request| {
        let has = |key: &str| records(request).iter().any(|record| record["key"] == key);
        match records(request).len() {
            _ if has("3") => Answer::status(422),
            _ if has("5") => Answer::status(500),
            9.. => Answer::status(413),
            _ => Answer::ok(),
        }
    });
    let config = RelayConfig::new(&scene).destination("billing", &consumer.url(), IN_BATCHES);
    let relay = RelayProcess::start_ready(BINARY, config);
    publish(&topic, 0..100);
    wait_until_all_is_committed(&scene, &topic);
    wait_until("all but two are delivered", PATIENCE, || {
        scene.database.number("select count(*) from ledger") == 98
    });
    let states = "select key, state, charged::text from parked order by key";
    let said = |text: &str| Some(text.to_owned());
    wait_until("the one that fails is exhausted", PATIENCE, || {
        let expected = [
            [said("3"), said("rejected"), said("0")],
            [said("5"), said("exhausted"), said("3")],
        ];
        scene.database.rows(states) == expected
    });
    let alone = |key: &str| {
        let exchanges = consumer.exchanges();
        let alone = exchanges.iter().filter(|exchange| {
            let records = records(&exchange.request);
            records.len() == 1 && records[0]["key"] == key
        });
        alone.count()
    };
    assert_eq!(alone("3"), 1, "refused alone, it is known to be at fault");
    assert_eq!(alone("5"), 3, "it has a budget of its own");
    let held = "held_seconds_total{destination=\"billing\",reason=\"breaker\"}";
    let held = relay.metric(held).unwrap_or_default();
    assert!(held <= 0.0, "no neighbour was held up");
}

#[test]
fn an_answer_to_a_batch_that_cannot_be_read_acknowledges_nothing() {
    let scene = Scene::new();
    let topic = scene.create_topic("monolith", "billing", "Vehicle", 1);
    let consumer = StubServer::start(|_| Answer::ok().json("{\"results\":["));
    let lines = format!("{IN_BATCHES}\nbreaker = {{ failure_ratio = 0.0 }}");
    let config = RelayConfig::new(&scene).destination("billing", &consumer.url(), &lines);
    let _relay = RelayProcess::start_ready(BINARY, config);
    publish(&topic, 0..10);
    let exhausted =
        "select count(*) from parked where state = 'exhausted' and error_class = 'bad_response'";
    wait_until("all are failures", PATIENCE, || {
        scene.database.number(exhausted) == 10
    });
    assert_eq!(scene.database.number("select count(*) from ledger"), 0);

    consumer.answer_with(|_| Answer::ok().body(vec![b' '; 80_000]));
    publish(&topic, 10..12);
    let cut = "select count(*) from attempts where error_class = 'response_too_large'";
    wait_until("a body that is too large is no answer", PATIENCE, || {
        scene.database.number(cut) >= 2
    });
    assert_eq!(scene.database.number("select count(*) from ledger"), 0);
}

fn records(request: &Request) -> Vec<Value> {
    request.json()["records"].as_array().unwrap().clone()
}

fn publish(topic: &str, keys: std::ops::Range<u64>) {
    let producer = Producer::new();
    for key in keys {
        producer.send(topic, &Record::new("monolith", "Vehicle", &key.to_string()));
    }
    producer.flush();
}

fn wait_until_all_is_committed(scene: &Scene, topic: &str) {
    wait_until("every offset is committed", PATIENCE, || {
        committed_offsets(&scene.group("billing"), topic) == end_offsets(topic)
    });
}
