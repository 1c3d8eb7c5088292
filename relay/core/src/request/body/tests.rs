use std::collections::BTreeMap;

use super::*;
use crate::proto;
use crate::proto::value::Kind;
use crate::record::samples::{
    decode, deleted, field, json, sensitive, vehicle, vehicle_with, vehicles,
};

fn written(body: &Body, record: &proto::Record, view: View<'_>) -> Result<String, Unmappable> {
    let record = decode(record).unwrap();
    let stream = vehicles();
    let delivery = Outgoing {
        id: record.delivery_id(&stream),
        record: &record,
        stream: &stream,
        attempt: 1,
    };
    let mut out = Vec::new();
    body.write(&delivery, view, &mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

fn sent(body: &Body, record: &proto::Record) -> String {
    written(body, record, View::Consumer).unwrap()
}

fn logged(body: &Body, record: &proto::Record) -> String {
    let mask = ["registration".to_owned()];
    written(body, record, View::Log { mask: &mask }).unwrap()
}

fn variable(name: &str) -> Shape {
    Shape::Variable(Variable::of_name(name).unwrap())
}

fn table<const N: usize>(members: [(&str, Shape); N]) -> Shape {
    let members = members.map(|(name, shape)| (name.to_owned(), shape));
    Shape::Table(BTreeMap::from(members))
}

fn template<const N: usize>(members: [(&str, Shape); N]) -> Body {
    Body::Template(Template::of(&table(members)))
}

#[test]
fn the_record_is_the_body_that_a_receiver_knows() {
    let record = decode(&vehicle()).unwrap();
    assert_eq!(sent(&Body::Record, &vehicle()), json(&record));
    assert_eq!(Body::Record.content_type(), "application/json");
}

#[test]
fn attributes_come_alone_and_a_delete_has_nothing() {
    assert_eq!(
        sent(&Body::Attributes, &vehicle()),
        r#"{"price":"10.50","registration":"KA-01"}"#
    );
    assert_eq!(
        logged(&Body::Attributes, &vehicle()),
        r#"{"price":"10.50","registration":"***"}"#
    );
    assert_eq!(sent(&Body::Attributes, &deleted()), "");
}

#[test]
fn a_cloud_event_carries_the_record_as_its_data() {
    let record = json(&decode(&vehicle()).unwrap());
    let expected = |data: &str| {
        format!(
            r#"{{"specversion":"1.0","id":"dlv_efa644ab8997bd28db3dd3a5d03bc386_918273","source":"/replicates_to/monolith","type":"monolith.Vehicle.update","subject":"42","time":"2026-11-22T06:46:00.123456Z","datacontenttype":"application/json","sequence":"0000000000918273","data":{data}}}"#
        )
    };
    assert_eq!(sent(&Body::CloudEvents, &vehicle()), expected(&record));
    let masked = record.replace("KA-01", "***");
    assert_eq!(logged(&Body::CloudEvents, &vehicle()), expected(&masked));
    assert_eq!(
        Body::CloudEvents.content_type(),
        "application/cloudevents+json"
    );
}

#[test]
fn a_template_puts_every_value_in_its_place() {
    let body = template([
        ("a \"b\"", Shape::Text("$ is\na dollar".into())),
        ("flag", Shape::Flag(true)),
        (
            "list",
            Shape::List(vec![
                Shape::Integer(-1),
                Shape::Number(1.0),
                variable("version"),
            ]),
        ),
        ("nothing", table([])),
        (
            "record",
            table([
                ("all", variable("attributes")),
                ("at", variable("committed_at")),
                ("id", variable("id")),
                ("key", variable("key")),
                ("model", variable("model")),
                ("operation", variable("operation")),
                ("plate", variable("attributes.registration")),
                ("source", variable("source")),
            ]),
        ),
    ]);
    assert_eq!(
        sent(&body, &vehicle()),
        r#"{"a \"b\"":"$ is\na dollar","flag":true,"list":[-1,1.0,918273],"nothing":{},"record":{"all":{"price":"10.50","registration":"KA-01"},"at":"2026-11-22T06:46:00.123456Z","id":"dlv_efa644ab8997bd28db3dd3a5d03bc386_918273","key":"42","model":"Vehicle","operation":"update","plate":"KA-01","source":"monolith"}}"#
    );
    assert!(serde_json::from_str::<serde_json::Value>(&sent(&body, &vehicle())).is_ok());
}

#[test]
fn of_a_delete_a_template_has_the_name_and_nothing_else() {
    let body = template([
        ("all", variable("attributes")),
        ("key", variable("key")),
        ("plate", variable("attributes.registration")),
    ]);
    assert_eq!(
        sent(&body, &deleted()),
        r#"{"all":null,"key":"42","plate":null}"#
    );
}

#[test]
fn a_record_without_an_attribute_that_the_template_wants_has_no_body() {
    let body = template([("plate", variable("attributes.plate"))]);
    let flaw = Unmappable::NoAttribute("plate".into());
    assert_eq!(written(&body, &vehicle(), View::Consumer), Err(flaw));
    let null = vehicle_with(vec![field("plate", Kind::NullValue(true))]);
    assert_eq!(sent(&body, &null), r#"{"plate":null}"#);
}

#[test]
fn attributes_are_found_in_whatever_order_they_came() {
    let body = template([
        ("a", variable("attributes.a")),
        ("z", variable("attributes.z")),
    ]);
    let text = |name: &str| field(name, Kind::StringValue(name.into()));
    let unsorted = vehicle_with(vec![text("z"), text("m"), text("a")]);
    assert_eq!(sent(&body, &unsorted), r#"{"a":"a","z":"z"}"#);
}

#[test]
fn a_log_sees_a_template_without_secrets_and_masked_attributes_under_any_name() {
    let body = template([
        ("call", variable("attributes.phone")),
        ("plate", variable("attributes.registration")),
        ("price", variable("attributes.price")),
        ("token", Shape::Secret("hidden".into())),
        ("whole", variable("attributes")),
    ]);
    let record = vehicle_with(vec![
        sensitive("phone", Kind::StringValue("+49".into())),
        field("price", Kind::DecimalValue("10.50".into())),
        field("registration", Kind::StringValue("KA-01".into())),
    ]);
    let all = r#"{"phone":"+49","price":"10.50","registration":"KA-01"}"#;
    assert_eq!(
        sent(&body, &record),
        format!(
            r#"{{"call":"+49","plate":"KA-01","price":"10.50","token":"hidden","whole":{all}}}"#
        )
    );
    let all = r#"{"phone":"***","price":"10.50","registration":"***"}"#;
    assert_eq!(
        logged(&body, &record),
        format!(r#"{{"call":"***","plate":"***","price":"10.50","token":"***","whole":{all}}}"#)
    );
    assert!(!format!("{body:?}").contains("hidden"));
}

#[test]
fn variables_have_the_names_of_the_contract() {
    for name in VARIABLES {
        assert!(Variable::of_name(name).is_some(), "{name}");
    }
    assert_eq!(
        Variable::of_name("attributes.a.b"),
        Some(Variable::Attribute("a.b".into()))
    );
    for name in ["", "attributes.", "attribute.x", "Key", "key.x"] {
        assert_eq!(Variable::of_name(name), None, "{name}");
    }
}
