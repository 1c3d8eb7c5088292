use super::*;
use crate::proto;
use crate::record::samples::{decode, vehicle, vehicle_with, vehicles};
use crate::request::samples::route;
use crate::settings::{Header, Method, Methods, SigningSecret};

fn rendered(route: &Route, record: &Record) -> HttpRequest {
    let stream = vehicles();
    let delivery = Outgoing {
        id: record.delivery_id(&stream),
        record,
        stream: &stream,
        attempt: 3,
    };
    let wall = Timestamp::from_second(1_795_329_965).unwrap();
    render(route, &delivery, wall, "replicates-relay/0.1.0").unwrap()
}

fn header<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    let mut values = request.headers.iter().filter(|(n, _)| *n == name);
    let value = values.next().map(|(_, value)| value.as_str());
    assert_eq!(values.next(), None, "{name} comes twice");
    value
}

#[test]
fn the_test_vector_is_met_byte_for_byte() {
    let request = rendered(&route(), &decode(&vehicle()).unwrap());
    let body = r#"{"id":"dlv_efa644ab8997bd28db3dd3a5d03bc386_918273","source":"monolith","model":"Vehicle","key":"42","operation":"update","version":918273,"committed_at":"2026-11-22T06:46:00.123456Z","attributes":{"price":"10.50","registration":"KA-01"}}"#;
    assert_eq!(String::from_utf8_lossy(&request.body), body);
    assert_eq!(
        header(&request, "webhook-signature"),
        Some("v1,9r/rIXT1a+ZlndZe1lbrvET78Owl8HQz9lGafLTdmhs=")
    );
    assert_eq!(
        header(&request, "idempotency-key"),
        Some("dlv_efa644ab8997bd28db3dd3a5d03bc386_918273_a19a94433086aa7b")
    );
}

#[test]
fn headers_are_exactly_those_of_the_contract() {
    let mut record = vehicle();
    record.key = "a b/é".into();
    record.origin = "other-app".into();
    let mut record = decode(&record).unwrap();
    record.traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into());
    let request = rendered(&route(), &record);
    let id = record.delivery_id(&vehicles()).to_string();
    let shown: Vec<_> = request
        .headers
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .filter(|(name, _)| !["webhook-signature", "idempotency-key"].contains(name))
        .collect();
    assert_eq!(
        shown,
        [
            ("content-type", "application/json"),
            ("user-agent", "replicates-relay/0.1.0"),
            ("webhook-id", id.as_str()),
            ("webhook-timestamp", "1795329965"),
            (
                "traceparent",
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
            ),
            ("replicates-to-destination", "billing"),
            ("replicates-to-source", "monolith"),
            ("replicates-to-model", "Vehicle"),
            ("replicates-to-key", "a%20b%2F%C3%A9"),
            ("replicates-to-operation", "update"),
            ("replicates-to-version", "918273"),
            ("replicates-to-attempt", "3"),
            ("replicates-to-origin", "other-app"),
        ]
    );
}

#[test]
fn every_secret_signs_and_without_one_nothing_does() {
    let mut route = route();
    route
        .signing
        .insert(0, SigningSecret(b"a newer secret of 24 bytes".to_vec()));
    let record = decode(&vehicle()).unwrap();
    let request = rendered(&route, &record);
    let signatures: Vec<_> = header(&request, "webhook-signature")
        .unwrap()
        .split(' ')
        .collect();
    assert_eq!(signatures.len(), 2);
    assert_eq!(
        signatures[1],
        "v1,9r/rIXT1a+ZlndZe1lbrvET78Owl8HQz9lGafLTdmhs="
    );
    route.signing.clear();
    assert_eq!(
        header(&rendered(&route, &record), "webhook-signature"),
        None
    );
}

#[test]
fn the_content_type_is_the_bodys_and_an_empty_body_has_none() {
    let content_type = |body: Body, operation: proto::Operation| {
        let mut record = vehicle_with(vec![]);
        record.operation = operation.into();
        let route = Route { body, ..route() };
        let request = rendered(&route, &decode(&record).unwrap());
        let is_signed = header(&request, "webhook-signature").is_some();
        assert!(is_signed, "an empty body is signed, too");
        header(&request, "content-type").map(str::to_owned)
    };
    let (update, delete) = (proto::Operation::Update, proto::Operation::Delete);
    let json = Some("application/json".to_owned());
    assert_eq!(content_type(Body::Record, delete), json);
    assert_eq!(content_type(Body::Attributes, update), json);
    assert_eq!(content_type(Body::Attributes, delete), None);
    let event = Some("application/cloudevents+json".to_owned());
    assert_eq!(content_type(Body::CloudEvents, delete), event);
}

#[test]
fn a_delete_has_the_method_of_deletes_and_all_else_the_other() {
    let route = Route {
        methods: Methods {
            delete: Method::Delete,
            default: Method::Put,
        },
        ..route()
    };
    let method = |operation: proto::Operation| {
        let mut record = vehicle_with(vec![]);
        record.operation = operation.into();
        rendered(&route, &decode(&record).unwrap()).method
    };
    assert_eq!(method(proto::Operation::Delete), Method::Delete);
    for other in [
        proto::Operation::Create,
        proto::Operation::Update,
        proto::Operation::Snapshot,
    ] {
        assert_eq!(method(other), Method::Put, "{other:?}");
    }
}

#[test]
fn configured_headers_travel_beside_our_own() {
    let mut route = route();
    route.headers.push(Header {
        name: "x-tenant".into(),
        value: "main".into(),
        is_secret: false,
    });
    let request = rendered(&route, &decode(&vehicle()).unwrap());
    assert_eq!(request.configured_headers[0].value, "main");
    assert_eq!(request.timeout, route.timeout);
    assert_eq!(*request.url, *route.url.to_string());
}
