//! What requests are made of, and what their answers are taken for.

use relay_core::exchange::ErrorClass;
use relay_core::request::Body;
use relay_core::settings::Method;
use relay_core::verdict::Class;
use replicates_relay::config::{Config, Environment};

use crate::{LEAST, parse, problems};

fn is_template(body: &Body) -> bool {
    matches!(body, Body::Template(_))
}

#[test]
fn of_envelope_and_body_the_more_specific_wins() {
    let config = parse(&format!(
        "{LEAST}
        envelope = \"attributes\"
        [destinations.billing.routes.Vehicle]
        body = {{ plate = \"$attributes.registration\" }}
        [destinations.search]
        url = \"http://search\"
        [destinations.search.routes.Vehicle]
        envelope = \"cloudevents\"
        [destinations.search.routes.Driver]
        body = {{ b = \"$key\" }}
        [destinations.search.routes.Garage]
        [defaults]
        body = {{ a = \"$key\" }}
        "
    ));
    let [billing, search] = &config.destinations[..] else {
        panic!("{config:?}")
    };
    assert!(matches!(billing.route.body, Body::Attributes));
    assert!(is_template(&billing.route_of("Vehicle").body));
    assert!(is_template(&search.route.body));
    assert!(is_template(&search.route_of("Garage").body));
    let envelope = &search.route_of("Vehicle").body;
    assert!(matches!(envelope, Body::CloudEvents), "{envelope:?}");
    let shown = &config.effective()["destinations"];
    assert_eq!(shown["billing"]["envelope"], "attributes");
    assert!(shown["billing"]["body"].is_null());
    assert_eq!(shown["search"]["body"]["a"], "$key");
    assert!(shown["search"]["envelope"].is_null());
    let own = &shown["search"]["routes"]["Driver"]["body"];
    assert_eq!(own.to_string(), r#"{"b":"$key"}"#, "never mixed from two");
}

#[test]
fn what_a_reference_in_a_body_holds_is_sent_and_not_shown() {
    let text =
        format!("{LEAST}\nbody = {{ token = \"env:TOKEN\", price = \"$$5\", n = [1, 2.5, true] }}");
    let config = Config::parse(
        "relay.toml",
        &text,
        &Environment::of([("TOKEN", "$hidden")]),
    );
    let config = config.unwrap();
    let secrets: Vec<_> = config.destinations[0].route.body.secrets().collect();
    assert_eq!(secrets, ["$hidden"]);
    assert!(!format!("{config:?} {:?}", config.destinations).contains("hidden"));
    let shown = &config.effective()["destinations"]["billing"]["body"];
    assert_eq!(
        shown.to_string(),
        r#"{"n":[1,2.5,true],"price":"$$5","token":"***"}"#
    );
}

#[test]
fn a_route_has_a_path_below_its_destinations_url_or_a_url_of_its_own() {
    let config = parse(&format!(
        "{LEAST}
        [destinations.billing.routes.Vehicle]
        url = \"/vehicles/{{key}}?version={{version}}\"
        [destinations.billing.routes.Driver]
        url = \"http://drivers:8080/{{key}}\"
        "
    ));
    let billing = &config.destinations[0];
    let url = |model| billing.route_of(model).url.to_string();
    let vehicles = "https://billing.internal/replicates_to/vehicles/{key}?version={version}";
    assert_eq!(url("Vehicle"), vehicles);
    assert_eq!(url("Driver"), "http://drivers:8080/{key}");
    assert_eq!(url("Garage"), "https://billing.internal/replicates_to");
    let shown = &config.effective()["destinations"]["billing"];
    assert_eq!(shown["routes"]["Vehicle"]["url"], vehicles);
}

#[test]
fn a_method_is_one_for_all_records_or_another_for_deletes() {
    let config = parse(&format!(
        "{LEAST}
        method = \"PUT\"
        [destinations.billing.routes.Vehicle]
        method = {{ delete = \"DELETE\", default = \"PATCH\" }}
        "
    ));
    let billing = &config.destinations[0];
    let (shared, own) = (billing.route.methods, billing.route_of("Vehicle").methods);
    assert_eq!((shared.delete, shared.default), (Method::Put, Method::Put));
    assert_eq!((own.delete, own.default), (Method::Delete, Method::Patch));
    let shown = &config.effective()["destinations"]["billing"];
    assert_eq!(shown["method"], "PUT");
    assert_eq!(shown["routes"]["Vehicle"]["method"]["delete"], "DELETE");

    let text = format!("{LEAST}\nmethod = {{ delete = \"DELETE\" }}");
    assert_eq!(
        problems(&text, &Environment::default()),
        ["destinations.billing.method.default is required"]
    );
}

#[test]
fn a_route_s_table_of_answers_is_laid_over_its_destination_s() {
    let config = parse(&format!(
        "{LEAST}
        retry = {{ classify = {{ 409 = \"delivered\", \"5xx\" = \"endpoint\" }} }}
        [destinations.billing.routes.Vehicle.retry.classify]
        409 = \"stale\"
        timeout = \"reject\"
        "
    ));
    let billing = &config.destinations[0];
    let (own, shared) = (
        &billing.route_of("Vehicle").classify,
        &billing.route.classify,
    );
    let timeout = Some(ErrorClass::Timeout);
    assert_eq!(
        own.class_of(Some(409), None),
        Some(Class::Stale { version: None })
    );
    assert_eq!(own.class_of(Some(500), None), Some(Class::Endpoint));
    assert_eq!(own.class_of(None, timeout), Some(Class::Reject));
    assert_eq!(shared.class_of(Some(409), None), Some(Class::Delivered));
    assert_eq!(shared.class_of(None, timeout), None);
    let shown = &config.effective()["destinations"]["billing"]["routes"]["Vehicle"];
    let table = r#"{"409":"stale","5xx":"endpoint","timeout":"reject"}"#;
    assert_eq!(shown["retry"]["classify"].to_string(), table);
}

#[test]
fn urls_that_no_request_could_use_are_refused() {
    for url in [
        "",
        "billing.internal/x",
        "/x",
        "ftp://billing/x",
        "http://",
        "http://user:pw@billing/x",
        "http://{key}.billing",
        "http://billing/x#y",
        "http://bil ling/",
    ] {
        let text = format!("{LEAST}\n[destinations.search]\nurl = \"{url}\"");
        let found = problems(&text, &Environment::default());
        assert_eq!(found.len(), 1, "{url}: {found:#?}");
        let told = [
            "must be an absolute http or https URL".to_owned(),
            format!("is {url:?}, which has a placeholder outside of path and query"),
        ];
        let is_told = |message: &String| {
            found[0].starts_with(&format!("relay.toml:10: destinations.search.url {message}"))
        };
        assert!(told.iter().any(is_told), "{url}: {found:#?}");
        assert!(!found[0].contains("pw@"), "{found:#?}");
    }
}
