//! How destinations are doing.

use std::time::Duration;

use relay_core::names::Partition;
use replicates_relay::status::DestinationStatus;
use replicates_relay::store::{MappingRow, ReplicaState};
use serde_json::{Value, json};

use crate::relay::{OPEN, Relay, TOKENS};
use crate::rows::{batch, parked, rejected};

/// `fleet` is in trouble, as the engine would say it.
pub fn open_breaker(relay: &Relay) {
    let topic = "replicates_to.monolith.fleet.Vehicle".into();
    relay.status.set_destination(
        "fleet",
        DestinationStatus {
            held_reason: Some("connect refused, next probe in 12 s".into()),
            lag_seconds: 184.2,
            lag_target: Some(Duration::from_secs(180)),
            kafka_lag_seconds: 180.0,
            kafka_lag: vec![(Partition { topic, number: 2 }, 17)],
            in_flight: 0,
            ..DestinationStatus::idle(ReplicaState::Open, 64)
        },
    );
}

#[test]
fn a_destination_tells_its_state_and_what_is_undelivered() {
    let relay = Relay::start(OPEN);
    relay.keep(&batch(vec![], vec![parked("1", 1), rejected("2", 2)]));
    open_breaker(&relay);
    let list = relay.read("/api/v1/destinations").json();
    let [billing, fleet] = &list["destinations"].as_array().unwrap()[..] else {
        panic!("{list}")
    };
    assert_eq!(billing["name"], "billing");
    assert_eq!(billing["state"], "active");
    assert_eq!(billing["held_reason"], Value::Null);
    assert_eq!(
        billing["undelivered"],
        json!({ "parked": 1, "exhausted": 0, "rejected": 1, "quarantined": 0 })
    );
    assert_eq!(fleet["state"], "open");
    assert_eq!(fleet["held_reason"], "connect refused, next probe in 12 s");
    assert_eq!(fleet["lag_seconds"], 184.2);
    assert_eq!(
        (&billing["late"], &fleet["late"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(fleet["kafka_lag_records"], 17);
    assert_eq!(fleet["concurrency_limit"], 64);
    assert_eq!(&relay.read("/api/v1/destinations/fleet").json(), fleet);
}

#[test]
fn mappings_and_the_highest_version_are_told_by_source() {
    let relay = Relay::start(OPEN);
    let now = relay.clock.now().wall;
    let mapping = |model: &str, version_max| MappingRow {
        destination: "billing".into(),
        source: "monolith".into(),
        model: model.into(),
        fingerprint: 0x5f0c_9a1e_7b22_d410,
        version_max,
        last_seen_at: now,
    };
    let mappings = [mapping("Vehicle", 918_273), mapping("Driver", 5)];
    relay
        .runtime
        .block_on(relay.store.record_replica(&[], &mappings))
        .unwrap();
    let billing = relay.read("/api/v1/destinations/billing").json();
    assert_eq!(billing["max_version"], json!({ "monolith": 918_273 }));
    assert_eq!(billing["mappings"].as_array().unwrap().len(), 2);
    assert_eq!(billing["mappings"][0]["fingerprint"], "5f0c9a1e7b22d410");
}

#[test]
fn a_destination_that_left_the_configuration_still_shows_what_it_left() {
    let relay = Relay::start(OPEN);
    let now = relay.clock.now().wall;
    relay
        .runtime
        .block_on(relay.store.record_destination("search", now))
        .unwrap();
    let search = relay.read("/api/v1/destinations/search").json();
    assert_eq!(search["state"], "unconfigured");
    let answer = relay.read("/api/v1/destinations/biling");
    assert_eq!(answer.status, 404);
    assert_eq!(
        answer.message(),
        "there is no destination \"biling\" (did you mean billing?)"
    );
}

#[test]
fn a_pause_is_asked_for_once_with_a_reason_by_an_operator() {
    let relay = Relay::start(TOKENS);
    let pause = "/api/v1/destinations/billing/pause";
    let operator = ("authorization", "Bearer operator-token");
    let ask = |path: &str, headers: &[(&str, &str)], body: &str| {
        let answer = relay.ask("POST", path, headers, body);
        (answer.status, answer.json())
    };
    let because = r#"{"reason":"they migrate"}"#;
    let viewer = ("authorization", "Bearer viewer-token");
    assert_eq!(ask(pause, &[viewer], because).0, 403);
    let once = [operator, ("idempotency-key", "k1")];
    for _ in 0..2 {
        let (status, body) = ask(pause, &once, because);
        assert_eq!(status, 200);
        assert_eq!(
            body,
            json!({ "name": "billing", "paused": true, "reason": "they migrate" })
        );
    }
    let kept = || {
        relay
            .runtime
            .block_on(relay.store.orders("billing"))
            .unwrap()
            .pause
    };
    assert_eq!(kept().unwrap().to_string(), "by ops: they migrate");
    // The same key for the opposite is a mistake.
    let resume = "/api/v1/destinations/billing/resume";
    assert_eq!(ask(resume, &once, because).0, 422);
    assert!(kept().is_some());
    assert_eq!(ask(resume, &[operator], "").0, 200);
    assert_eq!(kept(), None);
}

#[test]
fn a_pause_that_is_not_understood_says_why() {
    let relay = Relay::start(OPEN);
    let long = format!("{{\"reason\":{:?}}}", "x".repeat(201));
    for (name, body, status, message) in [
        (
            "billing",
            "",
            400,
            "a pause needs a reason: {\"reason\":\"…\"}",
        ),
        (
            "billing",
            "{}",
            400,
            "a pause needs a reason: {\"reason\":\"…\"}",
        ),
        (
            "billing",
            "[]",
            400,
            "the body must be a JSON object: {\"reason\":\"…\"}",
        ),
        (
            "billing",
            r#"{"why":"x"}"#,
            400,
            "unknown key \"why\": only reason is understood",
        ),
        ("billing", r#"{"reason":7}"#, 400, "reason must be a text"),
        (
            "billing",
            r#"{"reason":"a\nb"}"#,
            400,
            "reason must be one line of 1-200 characters",
        ),
        (
            "billing",
            &long,
            400,
            "reason must be one line of 1-200 characters",
        ),
        (
            "biling",
            r#"{"reason":"x"}"#,
            404,
            "there is no destination \"biling\" (did you mean billing?)",
        ),
    ] {
        let path = format!("/api/v1/destinations/{name}/pause");
        let answer = relay.ask("POST", &path, &[], body);
        assert_eq!(
            (answer.status, &*answer.message()),
            (status, message),
            "{body}"
        );
    }
}
