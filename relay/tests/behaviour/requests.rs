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

/// Each model is told in its own way.
const WAYS: &str = r#"
log_body = "all"
[destinations.fleet.routes.Vehicle]
body = { vehicle = { plate = "$attributes.registration", phone = "$attributes.phone", revision = "$version" }, reason = "$operation" }
[destinations.fleet.routes.Driver]
envelope = "cloudevents"
[destinations.fleet.routes.Garage]
envelope = "attributes"
mask = ["city"]
timeout = "200ms"
retry = { max_retries = 0 }
"#;

#[test]
fn each_model_is_sent_as_its_route_says_and_what_the_body_lacks_is_quarantined_until_a_newer_version()
 {
    let scene = Scene::new();
    let topic = |model| scene.create_topic("monolith", "fleet", model, 1);
    let (vehicles, drivers, garages) = (topic("Vehicle"), topic("Driver"), topic("Garage"));
    // A garage takes longer than its route has patience for, but not longer than the destination.
    let consumer = StubServer::start(|request| match request.header("replicates-to-model") {
        "Garage" => Answer::ok().after(Duration::from_secs(2)),
        _ => Answer::ok(),
    });
    let config = RelayConfig::new(&scene).destination("fleet", &consumer.url(), WAYS);
    let relay = RelayProcess::start_ready(BINARY, config);

    let producer = Producer::new();
    let driver = Record::new("monolith", "Driver", "5").text("name", "Ann");
    producer.send(&vehicles, &vehicle("42").sensitive("phone", "+49 170"));
    producer.send(&vehicles, &vehicle("43"));
    producer.send(&drivers, &driver);
    let garage = Record::new("monolith", "Garage", "9").text("city", "Hamburg");
    producer.send(&garages, &garage);
    producer.flush();
    for topic in [&vehicles, &drivers, &garages] {
        wait_until("every offset is committed", PATIENCE, || {
            committed_offsets(&scene.group("fleet"), topic) == end_offsets(topic)
        });
    }

    let exchanges = consumer.exchanges();
    let sent = |model: &str| {
        let of_model =
            |exchange: &&Exchange| exchange.request.header("replicates-to-model") == model;
        let mut requests = exchanges
            .iter()
            .filter(of_model)
            .map(|exchange| &exchange.request);
        let request = requests.next().unwrap();
        assert!(requests.next().is_none(), "{model} was sent twice");
        let body = String::from_utf8(request.body.clone()).unwrap();
        (request.header("content-type").to_owned(), body)
    };
    let told = r#"{"reason":"update","vehicle":{"phone":"+49 170","plate":"KA-01","revision":1}}"#;
    assert_eq!(sent("Vehicle"), ("application/json".into(), told.into()));
    let (content_type, event) = sent("Driver");
    assert_eq!(content_type, "application/cloudevents+json");
    let event: Value = serde_json::from_str(&event).unwrap();
    assert_eq!(event["type"], "monolith.Driver.update");
    assert_eq!(event["data"]["attributes"]["name"], "Ann");
    let city = r#"{"city":"Hamburg"}"#;
    assert_eq!(sent("Garage"), ("application/json".into(), city.into()));

    let quarantined = failures(&relay);
    assert_eq!(quarantined.len(), 1, "{quarantined:#?}");
    assert_eq!(quarantined[0]["key"], "43");
    assert_eq!(quarantined[0]["error_class"], "unmappable");
    let error = quarantined[0]["error"].as_str().unwrap();
    assert!(error.contains(r#"the attribute "phone""#), "{error}");

    let bodies =
        "select convert_from(request_body, 'utf8') from attempts where attempt = 1 and model = ";
    let logged = |model: &str| scene.database.rows(&format!("{bodies}'{model}'"));
    assert_eq!(logged("Vehicle"), [[Some(told.replace("+49 170", "***"))]]);
    assert_eq!(logged("Garage"), [[Some(city.replace("Hamburg", "***"))]]);
    let exhausted = "select count(*) from parked where state = 'exhausted' and model = 'Garage' and error_class = 'timeout'";
    assert_eq!(
        scene.database.number(exhausted),
        1,
        "its own timeout, and its own retries"
    );

    producer.send(&vehicles, &vehicle("43").version(2).text("phone", "0"));
    producer.flush();
    wait_until("it is superseded", PATIENCE, || failures(&relay).is_empty());
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
