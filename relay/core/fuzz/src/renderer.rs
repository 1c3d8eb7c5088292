//! A request: of any record that can be delivered, for routes of every shape, it is one that HTTP can carry, and what the
//! log shows of it hides what is sensitive.

use std::collections::BTreeMap;
use std::time::Duration;

use relay_core::exchange::{Answer, End, Exchange, HttpRequest, Timings};
use relay_core::names::Operation;
use relay_core::record::Record;
use relay_core::request::{
    self, Batch, Body, Outgoing, Shape, Sheet, Template, URL_BYTES_MAX, Url, Variable,
};
use relay_core::rows::Outcome;
use relay_core::settings::{
    Batching, Breaker, LogBody, Method, Methods, Retry, Route, SigningSecret,
};
use relay_core::time::Timestamp;
use relay_core::verdict::Classify;
use serde::de::IgnoredAny;

use crate::decoder;

/// How much of a body and of headers the log keeps.
const LOG_BYTES_MAX: usize = 4_096;

/// A message's value.
pub fn feed(value: &[u8]) {
    let Some((record, stream)) = decoder::decode(value) else {
        return;
    };
    let outgoing = Outgoing {
        id: record.delivery_id(&stream),
        record: &record,
        stream: &stream,
        attempt: 1,
    };
    for route in routes() {
        let rendered = request::render(&route, &outgoing, Timestamp::UNIX_EPOCH, "relay/0");
        if let Ok(http) = rendered {
            let has_body = !matches!(route.body, Body::Attributes) || !is_delete(&record);
            assert_eq!(!http.body.is_empty(), has_body);
            check(&route, &outgoing, &http);
        }
        let Some(batching) = route.batch else {
            continue;
        };
        if let Ok(batch) = Batch::begin(&route, batching, &outgoing) {
            let http = batch.finish(Timestamp::UNIX_EPOCH, "relay/0");
            check(&route, &outgoing, &http);
        }
    }
}

fn is_delete(record: &Record) -> bool {
    record.operation == Operation::Delete
}

/// HTTP can carry it, the consumer can read it, and the log keeps no more than it may.
fn check(route: &Route, outgoing: &Outgoing<'_>, http: &HttpRequest) {
    assert!(http.url.len() <= URL_BYTES_MAX);
    assert!(
        http.url.bytes().all(|byte| byte.is_ascii_graphic()),
        "{}",
        http.url
    );
    let is_dots = |segment: &str| matches!(segment, "." | "..");
    assert!(!http.url.split('/').any(is_dots), "{}", http.url);
    for (name, value) in &http.headers {
        let is_safe = value
            .bytes()
            .all(|byte| byte == b' ' || byte.is_ascii_graphic());
        assert!(is_safe, "{name}: {value:?}");
    }
    if !http.body.is_empty() {
        serde_json::from_slice::<IgnoredAny>(&http.body).expect("a consumer gets JSON");
    }
    let echo = Exchange {
        end: End::Answered(Answer {
            status: 500,
            headers: vec![],
            body: http.body.clone(),
            is_truncated: false,
        }),
        timings: Timings::default(),
    };
    let deliveries = [*outgoing];
    let row = Sheet::new(route, &deliveries, http, &echo).row(0, Outcome::Retryable);
    for kept in [row.request_body, row.response_body].into_iter().flatten() {
        assert!(
            kept.len() <= LOG_BYTES_MAX,
            "the log keeps {} bytes",
            kept.len()
        );
    }
}

fn routes() -> [Route; 4] {
    let variable = |variable| Shape::Variable(variable);
    let shape = Shape::Table(BTreeMap::from([
        ("constant".to_owned(), Shape::Text("\"quoted\"".to_owned())),
        ("row".to_owned(), variable(Variable::Attributes)),
        (
            "of".to_owned(),
            Shape::List(vec![variable(Variable::Key), variable(Variable::Version)]),
        ),
    ]));
    [
        route("http://127.0.0.1/", Body::Record),
        route("http://127.0.0.1/{model}/{key}", Body::Attributes),
        route(
            "http://127.0.0.1/{source}?key={key}&v={version}",
            Body::CloudEvents,
        ),
        route(
            "http://127.0.0.1/{operation}/x{key}",
            Body::Template(Template::of(&shape)),
        ),
    ]
}

fn route(url: &str, body: Body) -> Route {
    Route {
        url: Url::parse(url).expect("a sound URL"),
        methods: Methods::all(Method::Post),
        // A URL of each row's own, or a body without the row's name, goes alone.
        batch: (!url.contains("{key}")).then_some(Batching {
            records_max: 2,
            wait_max: Duration::ZERO,
            bytes_max: 1 << 20,
        }),
        body,
        headers: vec![],
        credentials: vec![],
        grant: None,
        timeout: Duration::from_secs(1),
        skip_unchanged: false,
        log_body: LogBody::All,
        log_body_bytes_max: LOG_BYTES_MAX,
        mask: vec!["plate".to_owned()],
        retry: Retry {
            max_retries: 1,
            in_place: 0,
            base: Duration::from_secs(1),
            factor: 1.0,
            cap: Duration::from_secs(1),
            jitter: 0.0,
        },
        classify: Classify::default(),
        breaker: Breaker {
            failure_ratio: 0.5,
            min_keys: 3,
            window: Duration::from_secs(1),
        },
        signing: vec![SigningSecret(vec![7; 24])],
    }
}
