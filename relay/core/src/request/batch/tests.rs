use super::*;
use crate::record::Record;
use crate::record::samples::{decode, deleted, vehicle, vehicles};
use crate::request::samples::route;
use crate::request::{Body, Url};
use crate::settings::Methods;

const LIMITS: Batching = Batching {
    records_max: 3,
    wait_max: std::time::Duration::from_millis(20),
    bytes_max: 1 << 20,
};

fn of_key(key: &str) -> Record {
    decode(&crate::proto::Record {
        key: key.into(),
        ..vehicle()
    })
    .unwrap()
}

fn outgoing<'a>(record: &'a Record, stream: &'a crate::names::Stream) -> Outgoing<'a> {
    Outgoing {
        id: record.delivery_id(stream),
        record,
        stream,
        attempt: 1,
    }
}

/// The batch of these records, and how each but the first has joined it.
fn gather(route: &Route, limits: Batching, records: &[Record]) -> (Vec<Joining>, HttpRequest) {
    let stream = vehicles();
    let mut batch = Batch::begin(route, limits, &outgoing(&records[0], &stream)).unwrap();
    let joinings = records[1..]
        .iter()
        .map(|record| batch.add(&outgoing(record, &stream)).unwrap())
        .collect();
    let wall = Timestamp::from_second(1_795_329_965).unwrap();
    (joinings, batch.finish(wall, "replicates-relay/0.1.0"))
}

fn body(request: &HttpRequest) -> serde_json::Value {
    serde_json::from_slice(&request.body).unwrap()
}

fn header<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    let found = request.headers.iter().find(|(named, _)| *named == name);
    found.map(|(_, value)| value.as_str())
}

#[test]
fn a_batch_is_a_list_of_records_with_an_id_and_a_signature_of_its_own() {
    let records = ["1", "2"].map(of_key);
    let (joinings, request) = gather(&route(), LIMITS, &records);
    assert_eq!(joinings, [Joining::Joined]);
    let keys: Vec<_> = body(&request)["records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|record| record["key"].clone())
        .collect();
    assert_eq!(keys, ["1", "2"]);

    let ids = records.map(|record| record.delivery_id(&vehicles()).to_string());
    let sum = Sha256::digest(ids.join("\n"));
    let first_half: [u8; 16] = sum[..16].try_into().unwrap();
    let id = format!("bat_{:032x}", u128::from_be_bytes(first_half));
    assert_eq!(header(&request, "webhook-id"), Some(&*id));
    assert_eq!(request.batch_id.as_deref(), header(&request, "webhook-id"));
    let names: Vec<_> = request.headers.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        names,
        [
            "content-type",
            "user-agent",
            "webhook-signature",
            "webhook-id",
            "webhook-timestamp"
        ]
    );
}

#[test]
fn a_batch_of_one_has_the_shape_of_a_batch() {
    let (_, request) = gather(&route(), LIMITS, &[of_key("1")]);
    assert_eq!(body(&request)["records"].as_array().unwrap().len(), 1);
    assert!(request.batch_id.is_some());
}

#[test]
fn cloud_events_come_in_batched_mode() {
    let route = Route {
        body: Body::CloudEvents,
        ..route()
    };
    let (_, request) = gather(&route, LIMITS, &["1", "2"].map(of_key));
    assert_eq!(
        header(&request, "content-type"),
        Some("application/cloudevents-batch+json")
    );
    assert_eq!(body(&request)[1]["subject"], "2");
}

#[test]
fn no_more_join_than_records_max_and_bytes_max_allow() {
    let records = ["1", "2", "3", "4"].map(of_key);
    let (joinings, _) = gather(&route(), LIMITS, &records);
    assert_eq!(joinings, [Joining::Joined, Joining::Joined, Joining::Full]);

    let (_, two) = gather(&route(), LIMITS, &records[..2]);
    for (bytes_max, joins) in [(two.body.len(), true), (two.body.len() - 1, false)] {
        let limits = Batching {
            bytes_max,
            ..LIMITS
        };
        let (joinings, request) = gather(&route(), limits, &records[..3]);
        assert_eq!(joinings[0] == Joining::Joined, joins);
        assert!(request.body.len() <= bytes_max);
        assert_eq!(body(&request)["records"][0]["key"], "1");
    }
}

#[test]
fn a_record_that_is_larger_than_a_batch_may_be_goes_alone() {
    let limits = Batching {
        bytes_max: 10,
        ..LIMITS
    };
    let (joinings, request) = gather(&route(), limits, &["1", "2"].map(of_key));
    assert_eq!(joinings, [Joining::Full]);
    assert_eq!(body(&request)["records"].as_array().unwrap().len(), 1);
}

#[test]
fn what_goes_to_another_url_or_by_another_method_does_not_join() {
    let records = [of_key("1"), decode(&deleted()).unwrap()];
    let by_method = Route {
        methods: Methods {
            delete: Method::Delete,
            default: Method::Post,
        },
        ..route()
    };
    let by_url = Route {
        url: Url::parse("https://billing.internal/{operation}").unwrap(),
        ..route()
    };
    for route in [by_method, by_url] {
        let (joinings, request) = gather(&route, LIMITS, &records);
        assert_eq!(joinings, [Joining::Elsewhere]);
        assert_eq!(body(&request)["records"].as_array().unwrap().len(), 1);
    }
}

#[test]
fn a_batch_is_part_of_a_trace_only_where_all_of_its_records_are() {
    let traced = |key: &str, trace: Option<&str>| {
        let mut record = of_key(key);
        record.traceparent = trace.map(Into::into);
        record
    };
    for (traces, expected) in [
        ([Some("a"), Some("a")], Some("a")),
        ([Some("a"), Some("b")], None),
        ([None, Some("b")], None),
        ([Some("a"), None], None),
    ] {
        let records = [traced("1", traces[0]), traced("2", traces[1])];
        let (_, request) = gather(&route(), LIMITS, &records);
        assert_eq!(header(&request, "traceparent"), expected);
    }
}
