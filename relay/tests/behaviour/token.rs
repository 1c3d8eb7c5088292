//! A destination whose authorization server refuses the relay: no record pays for that, and none is lost.

use std::time::Duration;

use relay_test_support::kafka::Producer;
use relay_test_support::record::Record;
use relay_test_support::relay::{RelayConfig, RelayProcess};
use relay_test_support::scene::Scene;
use relay_test_support::stub_server::{Answer, StubServer};
use relay_test_support::wait::wait_until;

const BINARY: &str = env!("CARGO_BIN_EXE_replicates-relay");
const PATIENCE: Duration = Duration::from_secs(60);

const REFUSED: &str = r#"{"error":"invalid_client"}"#;
const ISSUED: &str = r#"{"access_token":"t","token_type":"Bearer","expires_in":3600}"#;

#[test]
fn while_no_token_is_to_be_had_the_breaker_holds_the_records_and_nothing_is_charged() {
    let scene = Scene::new();
    let topic = scene.create_topic("monolith", "billing", "Vehicle", 1);
    let authority = StubServer::start(|_| Answer::status(401).json(REFUSED));
    let consumer = StubServer::accepting();
    // The path of any file will do as a reference: its text is the secret.
    let destination = format!(
        "auth = {{ type = \"oauth2\", token_url = {:?}, client_id = \"relay\", client_secret = \"file:/proc/sys/kernel/ostype\" }}\n\
         retry = {{ max_retries = 1, in_place = 1, base = \"50ms\", factor = 1.0, cap = \"50ms\" }}\n\
         breaker = {{ open_base = \"200ms\", open_cap = \"200ms\" }}",
        authority.url()
    );
    let config = RelayConfig::new(&scene).destination("billing", &consumer.url(), &destination);
    let relay = RelayProcess::start_ready(BINARY, config);
    let producer = Producer::new();
    for key in 0..20 {
        producer.send(
            &topic,
            &Record::new("monolith", "Vehicle", &key.to_string()),
        );
    }
    producer.flush();

    // More often than a record that paid for it would be tried.
    authority.wait_until("many refusals", PATIENCE, |exchanges| exchanges.len() > 10);
    let held = "held_seconds_total{destination=\"billing\",reason=\"breaker\"}";
    wait_until("the breaker has held them", PATIENCE, || {
        relay.metric(held).is_some_and(|held| held > 0.0)
    });
    let failures = "select count(*) from attempts
         where error_class = 'auth' and status is null and error = 'no token: answered 401: invalid_client'";
    let number = |sql| scene.database.number(sql);
    wait_until("they are logged", PATIENCE, || number(failures) > 0);
    assert_eq!(
        number("select count(*) from attempts where error_class <> 'auth'"),
        0
    );
    assert_eq!(number("select coalesce(max(charged), 0) from parked"), 0);
    assert_eq!(consumer.count(), 0, "nothing is sent without a token");

    authority.answer_with(|_| Answer::status(200).json(ISSUED));
    wait_until("everything is delivered", PATIENCE, || {
        number("select count(*) from ledger") == 20 && number("select count(*) from parked") == 0
    });
    let exchanges = consumer.exchanges();
    assert_eq!(exchanges.len(), 20);
    let has_token = |request: &relay_test_support::stub_server::Request| {
        request.header("authorization") == "Bearer t"
    };
    assert!(
        exchanges
            .iter()
            .all(|exchange| has_token(&exchange.request))
    );
}
