//! Who may call, and what is said about calls that are wrong.

use crate::relay::{OPEN, Relay, TOKENS};
use crate::rows::{batch, id, rejected};

const LIST: &str = "/api/v1/deliveries";

fn bearer(token: &str) -> (&'static str, String) {
    ("authorization", format!("Bearer {token}"))
}

#[test]
fn a_viewer_reads_and_an_operator_also_retries() {
    let relay = Relay::start(TOKENS);
    relay.keep(&batch(vec![], vec![rejected("42", 7)]));
    let retry = format!("{LIST}/{}/retry", id("42", 7));
    for (method, path, token, status) in [
        ("GET", LIST, "viewer-token", 200),
        ("GET", LIST, "operator-token", 200),
        ("POST", &retry, "viewer-token", 403),
        ("POST", &retry, "operator-token", 202),
        ("GET", LIST, "viewer-toke", 401),
        ("GET", LIST, "", 401),
        ("GET", "/api/v1/nothing", "nobody", 401),
    ] {
        let (name, value) = bearer(token);
        let answer = relay.ask(method, path, &[(name, &value)], "");
        assert_eq!(answer.status, status, "{method} {path} {token}: {answer:?}");
        assert!(!answer.body.contains("-token"), "{answer:?}");
    }
    let answer = relay.read(LIST);
    assert_eq!(answer.status, 401);
    assert!(
        answer.head.contains("www-authenticate: bearer"),
        "{answer:?}"
    );
    assert_eq!(answer.json()["error"]["code"], "unauthorized");
    let (name, value) = bearer("viewer-token");
    let answer = relay.ask("POST", &retry, &[(name, &value)], "");
    assert_eq!(answer.json()["error"]["code"], "forbidden");
}

#[test]
fn health_and_metrics_need_no_token() {
    let relay = Relay::start(TOKENS);
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_ne!(relay.read(path).status, 401, "{path}");
    }
}

#[test]
fn wrong_parameters_are_named_with_what_is_allowed() {
    let relay = Relay::start(OPEN);
    for (path, message) in [
        ("/deliveries?limit=500", "limit must be 1-200, not 500"),
        ("/deliveries?limit=x", "limit must be 1-200, not x"),
        (
            "/deliveries?destinaton=billing",
            "destinaton is not a parameter (did you mean destination?)",
        ),
        (
            "/deliveries?state=park",
            "state must be one of parked, exhausted, rejected, quarantined, not park (did you mean parked?)",
        ),
        (
            "/deliveries?status=9",
            "status must be an HTTP status 100-599, not 9",
        ),
        (
            "/deliveries?since=yesterday",
            "since must be an RFC 3339 time like 2026-11-22T06:46:00Z, not yesterday",
        ),
        (
            "/deliveries?cursor=x",
            "cursor must be a next_cursor of this list, not x",
        ),
        ("/deliveries?model=A&model=B", "model is given twice"),
        (
            "/deliveries/dlv_1",
            "\"dlv_1\" is not a delivery id: dlv_<32 hex digits>_<version>",
        ),
        ("/destinations?limit=1", "limit is not a parameter"),
    ] {
        let answer = relay.read(&format!("/api/v1{path}"));
        assert_eq!(answer.status, 400, "{path}: {answer:?}");
        assert_eq!(
            answer.json()["error"]["code"],
            "invalid_parameter",
            "{path}"
        );
        assert_eq!(answer.message(), message, "{path}");
        assert_eq!(
            answer.json()["error"]["details"],
            serde_json::json!([]),
            "{path}"
        );
    }
}

#[test]
fn all_wrong_parameters_are_told_at_once() {
    let relay = Relay::start(OPEN);
    let answer = relay.read("/api/v1/attempts?limit=0&outcome=fine&foo=1");
    let details = &answer.json()["error"]["details"];
    assert_eq!(details.as_array().unwrap().len(), 3, "{answer:?}");
    assert_eq!(details[0], answer.message());
}

#[test]
fn what_does_not_exist_is_said_so() {
    let relay = Relay::start(OPEN);
    for (method, path, status) in [
        ("GET", "/api/v1/retries", 404),
        ("POST", "/api/v1/retries", 404),
        ("GET", "/", 404),
        ("DELETE", LIST, 405),
    ] {
        let answer = relay.ask(method, path, &[], "");
        assert_eq!(answer.status, status, "{path}: {answer:?}");
        assert_eq!(answer.message(), format!("there is no {method} {path}"));
    }
}
