//! A consumer that is a REST resource of its own design: it is sent what it asked for, and what cannot be put that way
//! is put aside.

use std::time::Duration;

use relay_core::proto::Operation;
use relay_test_support::history::Exchange;
use relay_test_support::kafka::{Producer, committed_offsets, end_offsets};
use relay_test_support::record::Record;
use relay_test_support::relay::{RelayConfig, RelayProcess};
use relay_test_support::scene::Scene;
use relay_test_support::stub_server::{Answer, StubServer};
use relay_test_support::wait::wait_until;
use serde_json::Value;

const BINARY: &str = env!("CARGO_BIN_EXE_replicates-relay");
const PATIENCE: Duration = Duration::from_secs(30);

/// Rows have URLs of their own, and methods that say what happens to them.
const RESOURCE: &str = r#"
url = "/vehicles/{key}?version={version}"
method = { delete = "DELETE", default = "PUT" }
"#;

#[test]
fn each_row_is_put_and_deleted_at_its_own_url_and_a_key_that_leads_elsewhere_is_quarantined() {
    let scene = Scene::new();
    let topic = scene.create_topic("monolith", "fleet", "Vehicle", 1);
    // Whoever deletes what was never there is told so.
    let consumer = StubServer::start(|request| match request.method.as_str() {
        "DELETE" => Answer::status(404),
        _ => Answer::ok(),
    });
    let config = RelayConfig::new(&scene)
        .destination("fleet", &consumer.url(), "log_body = \"all\"")
        .section("destinations.fleet.routes.Vehicle", RESOURCE);
    let relay = RelayProcess::start_ready(BINARY, config);

    let producer = Producer::new();
    let send = |record: &Record| producer.send(&topic, record);
    send(&vehicle("a b/é").version(7));
    send(&vehicle(".."));
    send(&Record::new("monolith", "Vehicle", "43").operation(Operation::Delete));
    producer.flush();
    wait_until("every offset is committed", PATIENCE, || {
        committed_offsets(&scene.group("fleet"), &topic) == end_offsets(&topic)
    });

    let mut seen: Vec<_> = consumer.exchanges().iter().map(request_line).collect();
    seen.sort();
    assert_eq!(
        seen,
        [
            "DELETE /replicates_to/vehicles/43?version=1",
            "PUT /replicates_to/vehicles/a%20b%2F%C3%A9?version=7",
        ]
    );
    let failures = failures(&relay);
    assert_eq!(failures.len(), 1, "{failures:#?}");
    assert_eq!(failures[0]["key"], "..");
    assert_eq!(failures[0]["state"], "quarantined");
    assert_eq!(failures[0]["error_class"], "unmappable");
    assert_eq!(failures[0]["attempts"], 0);

    let logged = scene.database.rows(
        "select method, url, status::text, outcome from attempts where attempt = 1 order by method",
    );
    let logged: Vec<String> = logged
        .into_iter()
        .map(|row| row.into_iter().flatten().collect::<Vec<_>>().join(" "))
        .collect();
    let base = consumer.url();
    assert_eq!(
        logged,
        [
            format!("DELETE {base}/vehicles/43?version=1 404 delivered"),
            format!("PUT {base}/vehicles/a%20b%2F%C3%A9?version=7 200 delivered"),
        ]
    );

    // A person may ask again, and hears the same as long as the configuration is the same.
    let id = failures[0]["id"].as_str().unwrap();
    assert!(relay.command(&["retry", id]).status.success());
    wait_until("it is quarantined again", PATIENCE, || {
        let again =
            "select count(*) from attempts where outcome = 'quarantined' and cause = 'manual'";
        scene.database.number(again) == 1
    });
    assert_eq!(consumer.count(), 2, "nothing of it was sent");
}

fn vehicle(key: &str) -> Record {
    Record::new("monolith", "Vehicle", key).text("registration", "KA-01")
}

fn request_line(exchange: &Exchange) -> String {
    let request = &exchange.request;
    format!("{} {}", request.method, request.path)
}

fn failures(relay: &RelayProcess) -> Vec<Value> {
    let output = relay.command(&["failures", "--state", "quarantined", "--json"]);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}
