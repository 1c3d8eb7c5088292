//! Health, readiness, metrics, and a store that is away.

use std::sync::Arc;
use std::time::Duration;

use relay_core::time::Now;
use replicates_relay::admin::{AdminError, Edges, Server};
use replicates_relay::config::{Config, Environment};
use replicates_relay::current::Current;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::destinations::open_breaker;
use crate::relay::{OPEN, Relay, Tables};
use crate::rows::{batch, rejected};

fn check<'a>(ready: &'a Value, name: &str) -> &'a Value {
    let checks = ready["checks"].as_array().unwrap();
    checks.iter().find(|check| check["name"] == name).unwrap()
}

#[test]
fn a_relay_is_ready_when_store_migrations_partitions_and_kafka_are() {
    let relay = Relay::start(OPEN);
    let answer = relay.read("/readyz");
    assert_eq!(answer.status, 503, "{answer:?}");
    let kafka = &answer.json();
    assert_eq!(check(kafka, "kafka")["message"], "not connected yet");
    relay.status.set_kafka_problem(None);
    let answer = relay.read("/readyz");
    assert_eq!(answer.status, 200, "{answer:?}");
    let names = ["store", "migrations", "partitions", "kafka"];
    let checks: Vec<_> = names.map(|name| json!({ "name": name, "ok": true })).into();
    assert_eq!(
        answer.json(),
        json!({ "status": "ready", "checks": checks })
    );

    relay.status.drain();
    let answer = relay.read("/readyz");
    assert_eq!(
        (answer.status, &answer.json()["status"]),
        (503, &json!("draining"))
    );
}

#[test]
fn a_dead_destination_does_not_make_the_relay_unready() {
    let relay = Relay::start(OPEN);
    relay.status.set_kafka_problem(None);
    open_breaker(&relay);
    assert_eq!(relay.read("/readyz").status, 200);
}

#[test]
fn pending_migrations_are_named() {
    let relay = Relay::start_on(None, Tables::Missing, OPEN);
    relay.status.set_kafka_problem(None);
    let answer = relay.read("/readyz");
    assert_eq!(answer.status, 503);
    let ready = answer.json();
    let message = check(&ready, "migrations")["message"].as_str().unwrap();
    assert!(message.contains("0001_store"), "{ready}");
}

#[test]
fn a_store_that_is_away_is_said_so_and_health_is_not_harmed() {
    let relay = Relay::start_on(
        Some("postgres://relay@127.0.0.1:1/relay"),
        Tables::Missing,
        OPEN,
    );
    let answer = relay.read("/api/v1/deliveries");
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(answer.json()["error"]["code"], "unavailable");
    let ready = relay.read("/readyz").json();
    assert_eq!(check(&ready, "store")["ok"], false);
    assert_eq!(relay.read("/healthz").status, 200);
    assert_eq!(relay.read("/metrics").status, 200);
}

#[test]
fn a_loop_that_no_longer_turns_is_named() {
    let relay = Relay::start(OPEN);
    let now = relay.clock.now();
    let consumer = relay.status.heartbeat("consumer", now);
    assert_eq!(relay.read("/healthz").json(), json!({ "status": "ok" }));
    // Its last sign of life is as old as the machine.
    let stuck = relay.status.heartbeat("log", now);
    let past = Now {
        monotonic: Duration::ZERO,
        ..now
    };
    stuck.beat(past);
    let future = Now {
        monotonic: now.monotonic + Duration::from_secs(31),
        ..now
    };
    consumer.beat(future);
    assert_eq!(relay.status.silent_loops(future).first().unwrap().0, "log");
}

#[test]
fn metrics_tell_what_the_loops_said_and_what_the_store_holds() {
    let relay = Relay::start(OPEN);
    relay.keep(&batch(vec![], vec![rejected("2", 2)]));
    open_breaker(&relay);
    let answer = relay.read("/metrics");
    assert!(
        answer.head.contains("application/openmetrics-text"),
        "{answer:?}"
    );
    for line in [
        r#"replicates_relay_undelivered{destination="billing",state="rejected"} 1"#,
        r#"replicates_relay_breaker_open{destination="fleet"} 1"#,
        r#"replicates_relay_breaker_open{destination="billing"} 0"#,
        r#"replicates_relay_lag_seconds{destination="fleet"} 184.2"#,
        r#"replicates_relay_lag_target_seconds{destination="fleet"} 180.0"#,
        r#"replicates_relay_kafka_lag_records{destination="fleet",topic="replicates_to.monolith.fleet.Vehicle",partition="2"} 17"#,
        r#"replicates_relay_concurrency_limit{destination="fleet"} 64"#,
    ] {
        assert!(
            answer.body.contains(line),
            "{line} is not in\n{}",
            answer.body
        );
    }
    assert!(!answer.body.contains("dlv_"), "{}", answer.body);
}

#[test]
fn an_address_that_is_taken_is_named() {
    let relay = Relay::start(OPEN);
    let address = relay.address();
    let text = format!(
        "[kafka]\nbrokers = [\"127.0.0.1:1\"]\n[store]\nurl = \"sqlite://x\"\n[admin]\nlisten = \"{address}\""
    );
    let config = Config::parse("relay.toml", &text, &Environment::default()).unwrap();
    let (_current, holding) = watch::channel(Arc::new(Current::new(Arc::new(config))));
    let second = Server::start(Edges {
        current: holding,
        ..relay.edges()
    });
    let error = second.unwrap_err();
    assert!(matches!(error, AdminError::Listen { .. }), "{error}");
    assert!(
        error
            .to_string()
            .starts_with(&format!("cannot listen on {address}: ")),
        "{error}"
    );
}
