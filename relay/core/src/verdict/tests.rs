use std::time::Duration;

use proptest::prelude::*;

use super::*;

mod absence;
mod batches;
mod classified;
use crate::exchange::Timings;
use crate::names::KeyHash;
use crate::time::Timestamp;

fn ours() -> DeliveryId {
    DeliveryId {
        key_hash: KeyHash([7; 16]),
        version: 5,
    }
}

fn answer(status: u16, body: &str) -> Exchange {
    answer_with(status, body, vec![])
}

fn answer_with(status: u16, body: &str, headers: Vec<(String, String)>) -> Exchange {
    exchange(End::Answered(Answer {
        status,
        headers,
        body: body.into(),
        is_truncated: false,
    }))
}

fn exchange(end: End) -> Exchange {
    Exchange {
        end,
        timings: Timings::default(),
    }
}

fn posted(id: DeliveryId) -> Question {
    Question {
        id,
        operation: Operation::Update,
        method: Method::Post,
        names_key: false,
    }
}

fn judged(exchange: &Exchange) -> Verdict {
    let mut verdicts = judge(
        exchange,
        &[posted(ours())],
        Shape::Single,
        &Classify::default(),
    );
    assert_eq!(verdicts.len(), 1);
    verdicts.remove(0)
}

fn class(exchange: &Exchange) -> (Class, Option<ErrorClass>) {
    let verdict = judged(exchange);
    (verdict.class, verdict.error_class)
}

const DELIVERED: (Class, Option<ErrorClass>) = (Class::Delivered, None);
const REJECTED: (Class, Option<ErrorClass>) = (Class::Reject, Some(ErrorClass::Http4xx));
const RETRIED: (Class, Option<ErrorClass>) = (Class::Retry, Some(ErrorClass::Http4xx));
const MISSING: (Class, Option<ErrorClass>) = (Class::Retry, Some(ErrorClass::BatchResultMissing));

#[test]
fn every_status_has_its_class() {
    let table: [(&[u16], Class, Option<ErrorClass>); 9] = [
        (&[200, 201, 202, 204, 299], Class::Delivered, None),
        (
            &[300, 301, 302, 304, 307, 308, 399],
            Class::Endpoint,
            Some(ErrorClass::Http3xx),
        ),
        (
            &[401, 402, 403, 404, 405, 407, 410, 429],
            Class::Endpoint,
            Some(ErrorClass::Http4xx),
        ),
        (
            &[408, 409, 423, 424, 425],
            Class::Retry,
            Some(ErrorClass::Http4xx),
        ),
        (
            &[
                400, 406, 411, 412, 413, 414, 415, 416, 417, 418, 421, 422, 426, 428, 431, 451,
            ],
            Class::Reject,
            Some(ErrorClass::Http4xx),
        ),
        (
            &[419, 420, 430, 440, 498, 499],
            Class::Reject,
            Some(ErrorClass::Http4xx),
        ),
        (&[502, 503, 504], Class::Endpoint, Some(ErrorClass::Http5xx)),
        (
            &[500, 501, 505, 511, 520, 599],
            Class::Suspect,
            Some(ErrorClass::Http5xx),
        ),
        (
            &[100, 199, 600, 999],
            Class::Suspect,
            Some(ErrorClass::BadResponse),
        ),
    ];
    for (statuses, expected, error_class) in table {
        for &status in statuses {
            let verdict = judged(&answer(status, ""));
            assert_eq!(
                (verdict.class, verdict.error_class),
                (expected, error_class),
                "{status}"
            );
            assert_eq!(verdict.status, Some(status));
            let error = (expected != Class::Delivered).then(|| format!("answered {status}"));
            assert_eq!(verdict.error, error);
        }
    }
}

#[test]
fn every_failure_has_its_class() {
    let table = [
        (ErrorClass::Connect, Class::Endpoint),
        (ErrorClass::Dns, Class::Endpoint),
        (ErrorClass::Tls, Class::Endpoint),
        (ErrorClass::EgressDenied, Class::Endpoint),
        (ErrorClass::Auth, Class::Endpoint),
        (ErrorClass::Timeout, Class::Suspect),
        (ErrorClass::Reset, Class::Suspect),
        (ErrorClass::BadResponse, Class::Suspect),
    ];
    for (class, expected) in table {
        let verdict = judged(&exchange(End::Failed {
            class,
            error: "it failed".into(),
        }));
        let expected = Verdict {
            class: expected,
            status: None,
            error_class: Some(class),
            error: Some("it failed".into()),
        };
        assert_eq!(verdict, expected);
        let is_unreachable = matches!(
            class,
            ErrorClass::Connect | ErrorClass::Dns | ErrorClass::Tls | ErrorClass::EgressDenied
        );
        assert_eq!(verdict.opens_breaker_at_once(), is_unreachable, "{class:?}");
    }
    assert!(!judged(&answer(503, "")).opens_breaker_at_once());
}

#[test]
fn a_2xx_acknowledges_with_any_body_or_none() {
    let bodies = [
        "",
        "ok",
        "<html>",
        "null",
        "[]",
        "{",
        "{\"status\":",
        "{}",
        r#"{"status":"applied"}"#,
        r#"{"status":"rejecte"}"#,
        r#"{"status":3}"#,
        r#"[{"status":"rejected"}]"#,
        r#"{"error":"none"}"#,
        "\0\u{ff}",
    ];
    for body in bodies {
        assert_eq!(class(&answer(200, body)), DELIVERED, "{body}");
    }
}

#[test]
fn stale_is_understood_in_a_2xx_and_in_a_409() {
    let stale = |version| (Class::Stale { version }, None);
    for status in [200, 201, 409] {
        assert_eq!(class(&answer(status, r#"{"status":"stale"}"#)), stale(None));
        assert_eq!(
            class(&answer(status, " \n{\"status\":\"stale\",\"version\":9}")),
            stale(Some(9))
        );
        for version in ["0", "-1", "1.5", "\"9\"", "9007199254740992"] {
            let body = format!(r#"{{"status":"stale","version":{version}}}"#);
            assert_eq!(class(&answer(status, &body)), stale(None), "{version}");
        }
    }
    assert_eq!(class(&answer(409, "{}")), RETRIED);
    assert_eq!(class(&answer(422, r#"{"status":"stale"}"#)), REJECTED);
    assert_eq!(
        class(&answer(500, r#"{"status":"stale"}"#)),
        (Class::Suspect, Some(ErrorClass::Http5xx))
    );
}

#[test]
fn a_single_record_may_be_refused_in_a_2xx() {
    let verdict = judged(&answer(
        200,
        r#"{"status":"rejected","error":"plate is blank"}"#,
    ));
    assert_eq!((verdict.class, verdict.error_class), REJECTED);
    assert_eq!(
        verdict.error.as_deref(),
        Some("answered rejected: plate is blank")
    );
    let verdict = judged(&answer(200, r#"{"status":"retry"}"#));
    assert_eq!((verdict.class, verdict.error_class), RETRIED);
    assert_eq!(verdict.error.as_deref(), Some("answered retry"));
}

#[test]
fn a_result_that_names_the_delivery_speaks_for_it() {
    let result = |status: &str| {
        let id = ours();
        class(&answer(
            200,
            &format!(r#"{{"results":[{{"id":"{id}","status":{status}}}]}}"#),
        ))
    };
    assert_eq!(result(r#""applied""#), DELIVERED);
    assert_eq!(result(r#""stale""#), (Class::Stale { version: None }, None));
    assert_eq!(
        result(r#""stale","version":9"#),
        (Class::Stale { version: Some(9) }, None)
    );
    assert_eq!(result(r#""rejected""#), REJECTED);
    assert_eq!(result(r#""retry""#), RETRIED);
    assert_eq!(result(r#""perhaps""#), MISSING);
    assert_eq!(result("null"), MISSING);
}

#[test]
fn silence_in_results_is_no_acknowledgement() {
    let other = DeliveryId {
        version: 6,
        ..ours()
    };
    let bodies = [
        r#"{"results":[]}"#.to_owned(),
        format!(r#"{{"results":[{{"id":"{other}","status":"applied"}}]}}"#),
        r#"{"results":[1,null,{"id":"1","status":"applied"},{"status":"applied"}]}"#.to_owned(),
        r#"{"results":[],"status":"stale"}"#.to_owned(),
    ];
    for body in bodies {
        assert_eq!(class(&answer(200, &body)), MISSING, "{body}");
    }
    assert_eq!(
        judged(&answer(200, r#"{"results":[]}"#)).error,
        Some(format!("no result for {}", ours()))
    );
}

#[test]
fn of_several_results_the_worst_counts() {
    let words = ["applied", "stale", "perhaps", "retry", "rejected"];
    let expected = [
        DELIVERED,
        (Class::Stale { version: None }, None),
        MISSING,
        RETRIED,
        REJECTED,
    ];
    for (better, (worse, expected)) in words.iter().zip(words.iter().zip(expected).skip(1)) {
        for (first, second) in [(better, worse), (worse, better)] {
            let id = ours();
            let body = format!(
                r#"{{"results":[{{"id":"{id}","status":"{first}"}},{{"id":"{id}","status":"{second}"}}]}}"#
            );
            assert_eq!(class(&answer(200, &body)), expected, "{first} {second}");
        }
    }
}

#[test]
fn results_that_are_no_list_are_a_bad_response() {
    for results in ["{}", "null", "\"all\"", "3"] {
        let verdict = judged(&answer(200, &format!(r#"{{"results":{results}}}"#)));
        assert_eq!(verdict.class, Class::Suspect);
        assert_eq!(verdict.error_class, Some(ErrorClass::BadResponse));
    }
}

#[test]
fn each_delivery_of_a_request_is_judged_by_itself() {
    let other = DeliveryId {
        version: 6,
        ..ours()
    };
    let body = format!(r#"{{"results":[{{"id":"{other}","status":"applied"}}]}}"#);
    let questions = [posted(ours()), posted(other)];
    let verdicts = judge(
        &answer(200, &body),
        &questions,
        Shape::Batch,
        &Classify::default(),
    );
    let classes: Vec<_> = verdicts.iter().map(|verdict| verdict.class).collect();
    assert_eq!(classes, [Class::Retry, Class::Delivered]);
    let failed = exchange(End::Failed {
        class: ErrorClass::Reset,
        error: "reset".into(),
    });
    assert_eq!(
        judge(&failed, &questions, Shape::Batch, &Classify::default()).len(),
        2
    );
}

#[test]
fn of_an_answer_that_was_not_read_to_its_end_the_status_counts() {
    let cut = |status| {
        let body = format!(r#"{{"results":[],"more":"{}"}}"#, "x".repeat(9));
        exchange(End::Answered(Answer {
            status,
            headers: vec![],
            body: body.into(),
            is_truncated: true,
        }))
    };
    assert_eq!(class(&cut(200)), DELIVERED);
    assert_eq!(class(&cut(409)), RETRIED);
}

#[test]
fn the_error_of_an_answer_is_quoted() {
    let error = |body| judged(&answer(422, body)).error.unwrap();
    assert_eq!(
        error(r#"{"error":"plate is blank"}"#),
        "answered 422: plate is blank"
    );
    assert_eq!(
        error(r#"{"error":{"code":"invalid_record","message":"plate is blank"}}"#),
        "answered 422: plate is blank"
    );
    assert_eq!(error(r#"{"error":""}"#), "answered 422");
    assert_eq!(error(r#"{"error":[1]}"#), "answered 422");
}

fn asked(retry_after: &str) -> Option<Duration> {
    let exchange = answer_with(503, "", vec![("retry-after".into(), retry_after.into())]);
    let wall = "1994-11-06T08:49:00Z".parse::<Timestamp>().unwrap();
    super::retry_after(&exchange, wall, Duration::from_hours(1))
}

#[test]
fn retry_after_is_read_in_seconds_and_in_every_form_of_a_date() {
    for (text, seconds) in [
        ("0", 0),
        (" 120 ", 120),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 37),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 37),
        ("Sun Nov  6 08:49:37 1994", 37),
    ] {
        assert_eq!(asked(text), Some(Duration::from_secs(seconds)), "{text}");
    }
}

#[test]
fn retry_after_is_clamped_to_its_maximum_and_to_now() {
    let hour = Some(Duration::from_hours(1));
    assert_eq!(asked("3601"), hour);
    assert_eq!(asked("99999999999999999999999"), hour);
    assert_eq!(asked("Fri, 31 Dec 9999 23:59:59 GMT"), hour);
    assert_eq!(asked("Sun, 06 Nov 1994 08:48:37 GMT"), Some(Duration::ZERO));
}

#[test]
fn a_retry_after_that_says_nothing_is_none() {
    for text in ["", "-1", "1.5", "soon", "Sun, 06 Nov 1994"] {
        assert_eq!(asked(text), None, "{text}");
    }
    let wall = Timestamp::UNIX_EPOCH;
    assert_eq!(
        super::retry_after(&answer(503, ""), wall, Duration::MAX),
        None
    );
    let failed = exchange(End::Failed {
        class: ErrorClass::Reset,
        error: "reset".into(),
    });
    assert_eq!(super::retry_after(&failed, wall, Duration::MAX), None);
}

proptest! {
    #[test]
    fn any_answer_is_judged_and_says_why_it_failed(status: u16, body in ".{0,200}|\\{\"(results|status)\":.{0,40}\\}") {
        let verdict = judged(&answer(status, &body));
        let is_acknowledged = matches!(verdict.class, Class::Delivered | Class::Stale { .. });
        prop_assert_eq!(is_acknowledged, verdict.error_class.is_none());
        prop_assert_eq!(is_acknowledged, verdict.error.is_none());
        if matches!(verdict.class, Class::Delivered) {
            prop_assert!((200..300).contains(&status));
        }
    }

    #[test]
    fn any_retry_after_is_at_most_the_maximum(text in ".{0,40}|[0-9]{1,30}") {
        if let Some(wait) = asked(&text) {
            prop_assert!(wait <= Duration::from_hours(1));
        }
    }
}
