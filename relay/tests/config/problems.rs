//! What is said about a file that is wrong.

use replicates_relay::config::{Config, Environment, Role};

use crate::{LEAST, problems};

#[test]
fn every_problem_is_told_at_once_with_its_line() {
    let text = r#"
[relay]
drain_timout = "25s"
[kafka]
commit_interval = "1ms"
[store]
url = "mysql://x"
[telemetri]
level = "debug"
[destinations.Billing]
concurrency = "many"
"#;
    let environment = Environment::of([("RELAY__LOG__FLUSH_ROWS", "0")]);
    assert_eq!(
        problems(text, &environment),
        [
            "destinations.Billing.url is required",
            "kafka.brokers is required",
            "relay.toml:3: relay.drain_timout is unknown (did you mean drain_timeout?)",
            "relay.toml:5: kafka.commit_interval must be a duration from 50ms to 10s, like \"500ms\" \"5s\" \"10m\" \"6h\" \"7d\", not \"1ms\"",
            "relay.toml:7: store.url must be postgres://… or sqlite://path, not \"mysql://x\"",
            "relay.toml:8: telemetri is unknown (did you mean telemetry?)",
            "relay.toml:10: destinations.Billing must be named [a-z][a-z0-9_]{0,62}",
            "relay.toml:11: destinations.Billing.concurrency must be a whole number from 1 to 4096, not \"many\"",
            "RELAY__LOG__FLUSH_ROWS: log.flush_rows must be a whole number from 1 to 50000, not 0",
        ]
    );
}

#[test]
fn the_same_problem_of_the_defaults_is_told_once() {
    let text = format!(
        "{LEAST}\n[destinations.search]\nurl = \"http://search\"\n[defaults]\nconcurrency = 0\ntimout = \"1s\"\nurl = \"http://x\""
    );
    let found = problems(&text, &Environment::default());
    assert_eq!(found.len(), 3, "{found:#?}");
    assert_eq!(
        found[0],
        "relay.toml:12: defaults.concurrency must be a whole number from 1 to 4096, not 0"
    );
    assert_eq!(
        found[1],
        "relay.toml:13: defaults.timout is unknown (did you mean timeout?)"
    );
    assert!(found[2].starts_with("relay.toml:14: defaults.url is unknown"));
}

#[test]
fn keys_that_do_not_exist_yet_are_unknown() {
    let text = r#"
[admin]
console = true
[telemetry]
otlp_endpoint = "http://otel:4317"
"#;
    let found = problems(&format!("{LEAST}{text}"), &Environment::default());
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found[0].starts_with("relay.toml:10: admin.console is unknown"));
    assert!(found[1].starts_with("relay.toml:12: telemetry.otlp_endpoint is unknown"));
}

#[test]
fn broken_toml_is_told_with_its_line() {
    let found = problems("[kafka\nbrokers = [\n", &Environment::default());
    assert!(
        found
            .iter()
            .any(|line| line.starts_with("relay.toml:1: not valid TOML: ")),
        "{found:#?}"
    );
}

#[test]
fn the_log_must_not_have_more_partitions_than_it_can_plan() {
    let text = format!("{LEAST}\nretention = {{ failure = \"151d\" }}");
    assert_eq!(
        problems(&text, &Environment::default()),
        [
            "relay.default.toml: store.partition_width must be at least 1/150 of the longest retention (151d, destinations.billing.retention.failure), not \"1d\""
        ]
    );
}

#[test]
fn without_tokens_the_api_listens_on_loopback_only() {
    let open = format!("{LEAST}\n[admin]\nlisten = \"0.0.0.0:8080\"");
    assert_eq!(
        problems(&open, &Environment::default()),
        [
            "relay.toml:10: admin.listen is 0.0.0.0:8080, which is not loopback: admin.tokens must name who may call"
        ]
    );
    let text = format!(
        "{open}\ntokens = [{{ name = \"ops\", role = \"operator\", token = \"env:OPS\" }}]"
    );
    let config = Config::parse("relay.toml", &text, &Environment::of([("OPS", "t0ken")])).unwrap();
    assert_eq!(config.admin.tokens[0].role, Role::Operator);
    assert_eq!(config.admin.tokens[0].token.expose(), "t0ken");
}
