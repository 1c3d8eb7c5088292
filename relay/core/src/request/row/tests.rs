use super::*;
use crate::exchange::{ErrorClass, Timings};
use crate::proto::value::Kind;
use crate::record::Record;
use crate::record::samples::{decode, field, sensitive, vehicle_with, vehicles};
use crate::request::samples::route;
use crate::request::{Body, Shape, Template, Url, Variable, render};
use crate::settings::Header;
use crate::time::Timestamp;

const PHONE: &str = "+49 170 \"1234567\"";

fn record() -> Record {
    let fields = vec![
        sensitive("phone", Kind::StringValue(PHONE.into())),
        field("plate", Kind::StringValue("KA-01".into())),
    ];
    decode(&vehicle_with(fields)).unwrap()
}

fn answered(body: &[u8], headers: &[(&str, &str)]) -> Exchange {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Exchange {
        end: End::Answered(Answer {
            status: 422,
            headers: headers.iter().map(own).collect(),
            body: body.to_vec(),
            is_truncated: false,
        }),
        timings: Timings {
            total_ms: 12.5,
            ..Timings::default()
        },
    }
}

fn logged(route: &Route, record: &Record, exchange: &Exchange, outcome: Outcome) -> ExchangeRow {
    let stream = vehicles();
    let deliveries = [Outgoing {
        id: record.delivery_id(&stream),
        record,
        stream: &stream,
        attempt: 1,
    }];
    let request = render(
        route,
        &deliveries[0],
        Timestamp::UNIX_EPOCH,
        "replicates-relay/0.1.0",
    )
    .unwrap();
    Sheet::new(route, &deliveries, &request, exchange).row(0, outcome)
}

fn rejected(route: &Route, exchange: &Exchange) -> ExchangeRow {
    logged(route, &record(), exchange, Outcome::Rejected)
}

fn text(bytes: Option<Vec<u8>>) -> String {
    String::from_utf8(bytes.unwrap()).unwrap()
}

fn is_kept(log_body: LogBody, outcome: Outcome) -> bool {
    let route = Route {
        log_body,
        ..route()
    };
    let row = logged(&route, &record(), &answered(b"{}", &[]), outcome);
    let kept = [
        row.request_headers.is_some(),
        row.request_body.is_some(),
        row.response_headers.is_some(),
        row.response_body.is_some(),
    ];
    assert!(kept.iter().all(|part| *part == kept[0]), "{kept:?}");
    assert_eq!((row.method, &*row.url), ("POST", &*route.url.to_string()));
    assert!((row.timings.total_ms - 12.5).abs() < f32::EPSILON);
    kept[0]
}

#[test]
fn bodies_and_headers_are_kept_as_the_policy_says() {
    for outcome in Outcome::ALL {
        assert!(!is_kept(LogBody::None, outcome));
        assert!(is_kept(LogBody::All, outcome));
        assert_eq!(
            is_kept(LogBody::Failures, outcome),
            !outcome.is_success(),
            "{outcome:?}"
        );
    }
}

#[test]
fn a_request_without_an_answer_keeps_what_was_sent() {
    let failed = Exchange {
        end: End::Failed {
            class: ErrorClass::Reset,
            error: "reset".into(),
        },
        timings: Timings::default(),
    };
    let row = rejected(&route(), &failed);
    assert!(row.request_body.is_some());
    assert_eq!((row.response_headers, row.response_body), (None, None));
}

#[test]
fn a_request_that_hides_nothing_is_kept_byte_for_byte() {
    let record = decode(&vehicle_with(vec![field(
        "plate",
        Kind::StringValue("KA-01".into()),
    )]))
    .unwrap();
    let row = logged(&route(), &record, &answered(b"", &[]), Outcome::Rejected);
    assert_eq!(
        text(row.request_body),
        crate::record::samples::json(&record)
    );
}

#[test]
fn nothing_sensitive_is_kept_of_an_exchange() {
    let mut route = route();
    route.url = Url::parse("https://user:hidden-password@billing.internal/r@t?a=b@c").unwrap();
    route.mask = vec!["plate".into()];
    route.headers = vec![
        Header {
            name: "x-secret".into(),
            value: "hidden-key".into(),
            is_secret: true,
        },
        Header {
            name: "Authorization".into(),
            value: "Basic hidden-basic".into(),
            is_secret: false,
        },
        Header {
            name: "x-tenant".into(),
            value: "main".into(),
            is_secret: false,
        },
    ];
    let signature = "v1,";
    let echo = serde_json::json!({
        "error": format!("phone {PHONE} of KA-01 is taken"),
        "headers": { "x-secret": "hidden-key", "x-tenant": "main" },
        "plate": ["other"],
    });
    let exchange = answered(
        echo.to_string().as_bytes(),
        &[
            ("x-error", "no +49 170 \"1234567\" here"),
            ("set-cookie", "session=hidden"),
            ("set-cookie", "b"),
            ("x-a", "1"),
            ("x-a", "2"),
        ],
    );
    let row = rejected(&route, &exchange);
    assert_eq!(&*row.url, "https://***@billing.internal/r@t?a=b@c");
    assert_eq!(
        row.response_headers.as_deref(),
        Some(r#"{"x-error":"no *** here","set-cookie":"***, ***","x-a":"1, 2"}"#)
    );
    assert_eq!(
        text(row.response_body),
        r#"{"error":"phone *** of *** is taken","headers":{"x-secret":"***","x-tenant":"main"},"plate":"***"}"#
    );
    let request_headers = row.request_headers.unwrap();
    let headers: serde_json::Value = serde_json::from_str(&request_headers).unwrap();
    assert_eq!(headers["webhook-signature"], "***");
    assert_eq!(headers["x-secret"], "***");
    assert_eq!(headers["Authorization"], "***");
    assert_eq!(headers["x-tenant"], "main");
    assert!(!request_headers.contains(signature) && !request_headers.contains("hidden"));
    assert!(text(row.request_body).ends_with(r#""attributes":{"phone":"***","plate":"***"}}"#));
}

#[test]
fn a_consumer_that_echoes_the_signature_does_not_put_it_into_the_log() {
    let (route, record, stream) = (route(), record(), vehicles());
    let deliveries = [Outgoing {
        id: record.delivery_id(&stream),
        record: &record,
        stream: &stream,
        attempt: 1,
    }];
    let request = render(
        &route,
        &deliveries[0],
        Timestamp::UNIX_EPOCH,
        "replicates-relay/0.1.0",
    )
    .unwrap();
    let (_, signature) = request
        .headers
        .iter()
        .find(|(name, _)| *name == signature::HEADER)
        .unwrap();
    let exchange = answered(format!("got {signature}").as_bytes(), &[]);
    let row = Sheet::new(&route, &deliveries, &request, &exchange).row(0, Outcome::Rejected);
    assert_eq!(text(row.response_body), "got ***");
}

#[test]
fn an_answer_is_masked_under_the_names_that_a_template_gives() {
    let variable = |name| Shape::Variable(Variable::of_name(name).unwrap());
    let members = [
        ("call".to_owned(), variable("attributes.phone")),
        ("licence".to_owned(), variable("attributes.plate")),
        ("token".to_owned(), Shape::Secret("hidden-token".into())),
    ];
    let route = Route {
        body: Body::Template(Template::of(&Shape::Table(members.into()))),
        ..route()
    };
    // Null is recognised by its name alone, which is the template's here.
    let exchange = answered(
        br#"{"call":null,"licence":"KA-01","got":"hidden-token"}"#,
        &[],
    );
    let row = rejected(&route, &exchange);
    assert_eq!(
        text(row.request_body),
        r#"{"call":"***","licence":"KA-01","token":"***"}"#
    );
    assert_eq!(
        text(row.response_body),
        r#"{"call":"***","licence":"KA-01","got":"***"}"#
    );
}

#[test]
fn a_secret_of_a_template_is_masked_where_nothing_else_is() {
    let members = [("token".to_owned(), Shape::Secret("hidden-token".into()))];
    let route = Route {
        body: Body::Template(Template::of(&Shape::Table(members.into()))),
        ..route()
    };
    let fields = vec![field("plate", Kind::StringValue("KA-01".into()))];
    let record = decode(&vehicle_with(fields)).unwrap();
    let row = logged(&route, &record, &answered(b"", &[]), Outcome::Rejected);
    assert_eq!(text(row.request_body), r#"{"token":"***"}"#);
}

#[test]
fn a_request_that_the_route_would_not_make_any_more_is_kept_without_its_body() {
    let members = [(
        "phone".to_owned(),
        Shape::Variable(Variable::of_name("attributes.mobile").unwrap()),
    )];
    let changed = Route {
        body: Body::Template(Template::of(&Shape::Table(members.into()))),
        ..route()
    };
    let (record, stream) = (record(), vehicles());
    let deliveries = [Outgoing {
        id: record.delivery_id(&stream),
        record: &record,
        stream: &stream,
        attempt: 1,
    }];
    let request = render(&route(), &deliveries[0], Timestamp::UNIX_EPOCH, "relay").unwrap();
    let exchange = answered(b"{}", &[]);
    let row = Sheet::new(&changed, &deliveries, &request, &exchange).row(0, Outcome::Rejected);
    assert_eq!(row.request_body, None);
    assert!(row.request_headers.is_some());
}

#[test]
fn bodies_are_cut_between_characters_and_headers_between_members() {
    let route = Route {
        log_body_bytes_max: 40,
        ..route()
    };
    let exchange = answered(
        "é".repeat(30).as_bytes(),
        &[("a", "1"), ("b", &"x".repeat(40)), ("c", "3")],
    );
    let row = rejected(&route, &exchange);
    assert_eq!(text(row.response_body), "é".repeat(20));
    assert_eq!(text(row.request_body).len(), 40);
    assert_eq!(
        row.response_headers.as_deref(),
        Some(r#"{"a":"1","c":"3"}"#)
    );

    let route = Route {
        log_body_bytes_max: 41,
        ..route
    };
    assert_eq!(
        text(rejected(&route, &exchange).response_body),
        "é".repeat(20)
    );
}

#[test]
fn a_body_that_is_no_text_is_cut_all_the_same() {
    let route = Route {
        log_body_bytes_max: 10,
        ..route()
    };
    let row = rejected(&route, &answered(&[0xbf; 30], &[]));
    assert_eq!(row.response_body, Some(vec![0xbf; 10]));
}

#[test]
fn the_token_that_a_request_carried_is_masked_wherever_it_is_repeated() {
    let (route, record, stream) = (route(), record(), vehicles());
    let deliveries = [Outgoing {
        id: record.delivery_id(&stream),
        record: &record,
        stream: &stream,
        attempt: 1,
    }];
    let mut request = render(&route, &deliveries[0], Timestamp::UNIX_EPOCH, "relay").unwrap();
    let issued = crate::exchange::Answer {
        status: 200,
        headers: vec![],
        body: br#"{"access_token":"tok-123456"}"#.to_vec(),
        is_truncated: false,
    };
    request.token = Some(crate::token::Issued::read(&issued).unwrap().token);
    let echo = answered(b"Bearer tok-123456 is wrong", &[("x-token", "tok-123456")]);
    let row = Sheet::new(&route, &deliveries, &request, &echo).row(0, Outcome::Rejected);
    let headers = row.request_headers.unwrap();
    assert!(headers.contains(r#""authorization":"***""#), "{headers}");
    let (headers, body) = (row.response_headers.unwrap(), text(row.response_body));
    assert_eq!(
        (&*headers, &*body),
        (r#"{"x-token":"***"}"#, "Bearer *** is wrong")
    );
}
