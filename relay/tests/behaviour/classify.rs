//! A consumer that means other things by its answers than most: it is taken at its own word.

use std::time::Duration;

use relay_test_support::kafka::{Producer, committed_offsets, end_offsets};
use relay_test_support::record::Record;
use relay_test_support::relay::{RelayConfig, RelayProcess};
use relay_test_support::scene::Scene;
use relay_test_support::stub_server::{Answer, Request, StubServer};
use relay_test_support::wait::wait_until;

const BINARY: &str = env!("CARGO_BIN_EXE_replicates-relay");
const PATIENCE: Duration = Duration::from_secs(30);

/// A row of another tenant is its own fault, a conflict says that the row is there, and 202 promises nothing. It crashes
/// when it is overloaded, never because of a row.
const MEANINGS: &str = r#"
timeout = "500ms"
[destinations.billing.retry]
base = "10ms"
max_retries = 3
classify = { 403 = "reject", 409 = "delivered", 202 = "retry", 500 = "endpoint", timeout = "reject" }
[destinations.billing.routes.Driver.retry.classify]
409 = "stale"
"#;

#[test]
fn answers_are_taken_for_what_the_route_says_they_mean() {
    let scene = Scene::new();
    let topic = |model| scene.create_topic("monolith", "billing", model, 1);
    let (vehicles, drivers) = (topic("Vehicle"), topic("Driver"));
    let consumer = StubServer::start(answer);
    let config = RelayConfig::new(&scene).destination("billing", &consumer.url(), MEANINGS);
    let relay = RelayProcess::start_ready(BINARY, config);
    let producer = Producer::new();
    let send = |topic: &str, model: &str, key: &str| {
        producer.send(topic, &Record::new("monolith", model, key));
        producer.flush();
    };

    // As many keys as would open the breaker, if it were the endpoint that refuses them.
    for key in ["forbidden-1", "forbidden-2", "forbidden-3", "silent"] {
        send(&vehicles, "Vehicle", key);
    }
    let rejected = "select count(*) from parked where state = 'rejected' and attempts = 1";
    wait_until("all are refused at once", PATIENCE, || {
        scene.database.number(rejected) == 4
    });
    for key in ["taken", "promised"] {
        send(&vehicles, "Vehicle", key);
    }
    send(&drivers, "Driver", "taken");
    for topic in [&vehicles, &drivers] {
        wait_until("everything is committed", PATIENCE, || {
            committed_offsets(&scene.group("billing"), topic) == end_offsets(topic)
        });
    }
    let held = "held_seconds_total{destination=\"billing\",reason=\"breaker\"}";
    assert!(
        relay.metric(held).unwrap_or(0.0) <= 0.0,
        "the breaker stayed closed"
    );
    let expected = [
        "Driver taken: 1 stale 409 -",
        "Vehicle forbidden-1: 1 rejected 403 http_4xx",
        "Vehicle forbidden-2: 1 rejected 403 http_4xx",
        "Vehicle forbidden-3: 1 rejected 403 http_4xx",
        "Vehicle promised: 1 retryable 202 bad_response",
        "Vehicle promised: 2 delivered 200 -",
        "Vehicle silent: 1 rejected - timeout",
        "Vehicle taken: 1 delivered 409 -",
    ];
    assert_eq!(logged(&scene), expected);
    let ledger =
        "select model || ' ' || key from ledger join streams on streams.id = stream_id order by 1";
    assert_eq!(texts(&scene, ledger), ["Vehicle promised", "Vehicle taken"]);

    // Overload is nobody's fault but its own: no record spends its retries on it.
    send(&vehicles, "Vehicle", "overload");
    consumer.wait_until("more tries than a record has", PATIENCE, |exchanges| {
        let of_it = exchanges
            .iter()
            .filter(|exchange| exchange.request.key() == "overload");
        of_it.count() > 5
    });
    let charged = "select coalesce(max(charged), 0) from parked where key = 'overload'";
    assert_eq!(scene.database.number(charged), 0);
    consumer.answer_with(|_| Answer::ok());
    wait_until("it is delivered", PATIENCE, || {
        texts(&scene, ledger).contains(&"Vehicle overload".to_owned())
    });
}

fn answer(request: &Request) -> Answer {
    match request.key() {
        "silent" => Answer::ok().after(Duration::from_secs(2)),
        "taken" => Answer::status(409),
        "promised" if request.attempt == 1 => Answer::status(202),
        "overload" => Answer::status(500),
        key if key.starts_with("forbidden") => Answer::status(403),
        _ => Answer::ok(),
    }
}

fn logged(scene: &Scene) -> Vec<String> {
    texts(
        scene,
        "select format('%s %s: %s %s %s %s', model, key, attempt, outcome, coalesce(status::text, '-'), coalesce(error_class, '-'))
         from attempts order by model, key, attempt",
    )
}

fn texts(scene: &Scene, sql: &str) -> Vec<String> {
    let rows = scene.database.rows(sql);
    rows.into_iter()
        .map(|row| row[0].clone().unwrap())
        .collect()
}
