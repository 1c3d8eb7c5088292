//! What must not be seen is not.

use replicates_relay::config::{Config, Environment};

use crate::{LEAST, problems};

/// Every place that takes a secret, each with its own text.
const SECRETIVE: &str = r#"
[kafka]
brokers = ["127.0.0.1:9092"]
properties = { "sasl.password" = "env:KAFKA", "sasl.username" = "relay" }
[store]
url = "env:STORE"
[admin]
tokens = [{ name = "ops", role = "operator", token = "env:TOKEN" }]
[destinations.billing]
url = "http://billing"
headers = { x-api-key = "env:HEADER", x-tenant = "main" }
signing = { secrets = ["env:SIGNING"] }
"#;

fn secrets() -> Environment {
    Environment::of([
        ("KAFKA", "secret-of-kafka"),
        ("STORE", "postgres://relay:secret-of-store@db/relay"),
        ("TOKEN", "secret-of-token"),
        ("HEADER", "secret-of-header"),
        ("SIGNING", "whsec_c2VjcmV0LW9mLXNpZ25pbmctMDEyMzQ1Njc4OQ=="),
    ])
}

#[test]
fn secrets_are_never_shown() {
    let config = Config::parse("relay.toml", SECRETIVE, &secrets()).unwrap();
    assert_eq!(
        config.kafka.properties["sasl.password"].expose(),
        "secret-of-kafka"
    );
    assert!(config.destinations[0].route.headers[0].is_secret);
    assert_eq!(
        config.destinations[0].route.signing[0].0,
        b"secret-of-signing-0123456789"
    );
    for shown in [
        format!("{config:?}"),
        config.effective().to_string(),
        format!("{:?}", config.kafka),
        format!("{:?}", config.store),
        format!("{:?}", config.admin),
    ] {
        for secret in ["secret-of", "c2VjcmV0"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
    let effective = config.effective();
    assert_eq!(effective["store"]["url"], "postgres://relay:***@db/relay");
    assert_eq!(effective["kafka"]["properties"]["sasl.username"], "relay");
    assert_eq!(effective["kafka"]["properties"]["sasl.password"], "***");
    let billing = &effective["destinations"]["billing"];
    assert_eq!(billing["headers"]["x-api-key"], "***");
    assert_eq!(billing["headers"]["x-tenant"], "main");
    assert_eq!(billing["signing"]["secrets"][0], "***");
    assert_eq!(billing["timeout"], "15s");
}

#[test]
fn plain_secrets_are_refused_and_not_repeated() {
    let text = SECRETIVE
        .replace("env:KAFKA", "hunter2-a")
        .replace("env:STORE", "postgres://relay:hunter2-b@db/relay")
        .replace("env:TOKEN", "hunter2-c")
        .replace("env:SIGNING", "whsec_hunter2-d");
    let found = problems(&text, &secrets());
    assert_eq!(found.len(), 4, "{found:#?}");
    for problem in &found {
        assert!(
            problem.contains("reference (\"env:NAME\" or \"file:/path\")"),
            "{problem}"
        );
        assert!(!problem.contains("hunter2"), "{problem}");
    }
}

#[test]
fn references_that_lead_nowhere_are_told_by_name() {
    let found = problems(SECRETIVE, &Environment::default());
    assert_eq!(found.len(), 5, "{found:#?}");
    assert!(
        found.contains(&"relay.toml:6: store.url is \"env:STORE\", which is not set".to_owned()),
        "{found:#?}"
    );
}

#[test]
fn what_a_reference_of_a_url_holds_is_not_repeated_when_it_is_wrong() {
    let text = format!("{LEAST}\n[destinations.search]\nurl = \"env:URL\"");
    for wrong in ["http://search/{secret}", "secret", "http://{secret}/"] {
        let found = problems(&text, &Environment::of([("URL", wrong)]));
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(!found[0].contains("secret"), "{found:#?}");
    }
}

#[test]
fn what_a_reference_holds_is_not_repeated_when_it_is_wrong() {
    let environment = Environment::of([
        ("KAFKA", "secret-of-kafka"),
        ("STORE", "mysql://secret-of-store"),
        ("TOKEN", "secret-of-token"),
        ("HEADER", "secret-of-header\u{7f}"),
        ("SIGNING", "secret-of-signing"),
    ]);
    let found = problems(SECRETIVE, &environment);
    assert_eq!(found.len(), 3, "{found:#?}");
    assert!(!found.join("\n").contains("secret-of"), "{found:#?}");
    assert_eq!(
        found[0],
        "relay.toml:6: store.url must be postgres://… or sqlite://path, not what \"env:STORE\" holds"
    );
}
