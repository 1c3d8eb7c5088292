//! The configuration as an operator meets it: what holds, and what is said about what cannot hold.

use std::time::Duration;

use relay_core::exchange::ErrorClass;
use relay_core::request::Body;
use relay_core::settings::{Batching, Breaker, LogBody, Method, Retry};
use relay_core::token::Grant;
use relay_core::verdict::Class;
use replicates_relay::config::{Config, DEFAULTS, DevFlags, Environment, Role, StoreKind};

/// The least that a relay needs.
const LEAST: &str = r#"
[kafka]
brokers = ["127.0.0.1:9092"]
[store]
url = "sqlite://relay.db"
[destinations.billing]
url = "https://billing.internal/replicates_to"
"#;

fn parse(text: &str) -> Config {
    Config::parse("relay.toml", text, &Environment::default()).unwrap()
}

fn problems(text: &str, environment: &Environment) -> Vec<String> {
    let problems = Config::parse("relay.toml", text, environment).unwrap_err();
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn a_short_file_is_completed_by_the_built_in_defaults() {
    let config = parse(LEAST);
    assert_eq!(config.relay.drain_timeout, Duration::from_secs(25));
    assert_eq!(config.kafka.group("billing"), "replicates-relay.billing");
    assert_eq!(config.store.url.kind(), StoreKind::Sqlite);
    let billing = &config.destinations[0];
    assert_eq!(billing.concurrency, 64);
    assert!(billing.is_adaptive);
    assert!(billing.rate_limit <= 0.0, "no limit");
    assert_eq!(billing.lag_target, Duration::from_secs(60));
    assert_eq!(billing.retention.failure, Duration::from_secs(30 * 86_400));
    let route = billing.route_of("Vehicle");
    let url = route.url.to_string();
    assert_eq!(url, "https://billing.internal/replicates_to");
    assert_eq!((route.retry.max_retries, route.retry.in_place), (12, 2));
    assert_eq!(route.timeout, Duration::from_secs(15));
}

#[test]
fn a_route_beats_a_destination_which_beats_the_defaults() {
    let config = parse(&format!(
        "{LEAST}
        retry = {{ max_retries = 1 }}
        timeout = \"3s\"
        [destinations.billing.routes.Vehicle.retry]
        max_retries = 5
        [destinations.search]
        url = \"http://search\"
        sources = [\"monolith\"]
        [defaults]
        timeout = \"9s\"
        headers = {{ X-Tenant = \"main\" }}
        [defaults.retry]
        max_retries = 7
        "
    ));
    let [billing, search] = &config.destinations[..] else {
        panic!("{config:?}")
    };
    assert_eq!(billing.route_of("Vehicle").retry.max_retries, 5);
    assert_eq!(billing.route_of("Driver").retry.max_retries, 1);
    assert_eq!(search.route_of("Driver").retry.max_retries, 7);
    assert_eq!(billing.route.timeout, Duration::from_secs(3));
    assert_eq!(search.route.timeout, Duration::from_secs(9));
    assert_eq!(search.sources, ["monolith"]);
    let header = &billing.route_of("Vehicle").headers[0];
    assert_eq!(
        (header.name.as_str(), header.value.as_str()),
        ("x-tenant", "main")
    );
}

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
fn every_setting_of_a_route_is_its_own_or_the_destinations() {
    let environment = Environment::of([
        ("OWN", "whsec_b3duLW93bi1vd24tb3duLW93bi1vd24tb3du"),
        ("SHARED", "whsec_c2hhcmVkLXNoYXJlZC1zaGFyZWQtc2hhcmVk"),
    ]);
    let text = format!(
        "{LEAST}
        timeout = \"3s\"
        headers = {{ x-tenant = \"main\", x-team = \"a\" }}
        log_body = \"all\"
        log_body_max = \"1KiB\"
        mask = [\"phone\"]
        signing = {{ secrets = [\"env:SHARED\"] }}
        retry = {{ base = \"2s\" }}
        [destinations.billing.routes.Vehicle]
        timeout = \"4s\"
        headers = {{ x-team = \"b\" }}
        log_body = \"none\"
        log_body_max = \"2KiB\"
        mask = [\"plate\"]
        skip_unchanged = true
        signing = {{ secrets = [\"env:OWN\"] }}
        retry = {{ max_retries = 5, in_place = 1, base = \"3s\", factor = 2, cap = \"4s\", jitter = 0 }}
        breaker = {{ failure_ratio = 0.9, min_keys = 9, window = \"9s\" }}
        batch = {{ max_records = 9, max_wait = \"0s\" }}
        [destinations.billing.routes.Driver]
        "
    );
    let config = Config::parse("relay.toml", &text, &environment).unwrap();
    let billing = &config.destinations[0];
    let own = billing.route_of("Vehicle");
    assert_eq!(own.timeout, Duration::from_secs(4));
    let headers: Vec<_> = own
        .headers
        .iter()
        .map(|header| (header.name.as_str(), header.value.as_str()))
        .collect();
    assert_eq!(headers, [("x-team", "b"), ("x-tenant", "main")]);
    assert_eq!(
        (own.log_body, own.log_body_bytes_max),
        (LogBody::None, 2048)
    );
    assert_eq!(own.mask, ["plate"]);
    assert!(own.skip_unchanged && !billing.route.skip_unchanged);
    assert_eq!(own.signing[0].0, b"own-own-own-own-own-own-own");
    let retry = Retry {
        max_retries: 5,
        in_place: 1,
        base: Duration::from_secs(3),
        factor: 2.0,
        cap: Duration::from_secs(4),
        jitter: 0.0,
    };
    assert_eq!(own.retry, retry);
    let breaker = Breaker {
        failure_ratio: 0.9,
        min_keys: 9,
        window: Duration::from_secs(9),
    };
    assert_eq!(own.breaker, breaker);
    let batch = Batching {
        records_max: 9,
        wait_max: Duration::ZERO,
        bytes_max: 1 << 20,
    };
    assert_eq!(own.batch, Some(batch));
    assert_eq!(billing.route.batch, None, "one record of a request is none");
    // What a route does not say is the destination's, whether it has a section or not.
    for model in ["Driver", "Garage"] {
        let shared = billing.route_of(model);
        assert_eq!(format!("{shared:?}"), format!("{:?}", billing.route));
        assert_eq!(shared.mask, ["phone"]);
        assert_eq!(shared.signing[0].0, b"shared-shared-shared-shared");
    }
    let shown = &config.effective()["destinations"]["billing"]["routes"]["Vehicle"];
    assert_eq!(shown["timeout"], "4s");
    assert_eq!(shown["signing"]["secrets"][0], "***");
}

#[test]
fn dev_reaches_this_machine_besides_what_its_file_allows() {
    let flags = DevFlags {
        broker_port: 9092,
        store_url: "sqlite://relay.db",
        admin_listen: "127.0.0.1:8080",
        destinations: &[("billing".into(), "http://localhost:3001/".into())],
        secret: None,
    };
    let file =
        "[destinations.fleet]\nurl = \"http://fleet/\"\negress = { allow = [\"10.20.0.0/16\"] }";
    let file = Some(("relay.toml", file));
    let config = Config::for_dev(&flags, file, &Environment::default()).unwrap();
    for destination in &config.destinations {
        let verdict = |address: &str| destination.egress.check(address.parse().unwrap()).is_ok();
        assert!(verdict("127.0.0.1") && verdict("::1") && verdict("10.20.0.1"));
        assert_eq!(verdict("10.21.0.1"), &*destination.name == "billing");
        assert!(!verdict("169.254.169.254"));
    }
}

#[test]
fn every_way_to_prove_who_it_is_becomes_a_secret_header() {
    let environment = Environment::of([("PASSWORD", "open sesame"), ("TOKEN", "t0k.en~/+=")]);
    for (auth, name, value, credentials) in [
        (
            "type = \"basic\", username = \"Aladdin\", password = \"env:PASSWORD\"",
            // RFC 7617, section 2.
            "authorization",
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
            &["QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "open sesame"][..],
        ),
        (
            "type = \"bearer\", token = \"env:TOKEN\"",
            "authorization",
            "Bearer t0k.en~/+=",
            &["t0k.en~/+="],
        ),
        (
            "type = \"header\", name = \"X-Api-Key\", value = \"env:TOKEN\"",
            "x-api-key",
            "t0k.en~/+=",
            &[],
        ),
    ] {
        let text = format!(
            "{LEAST}\nauth = {{ {auth} }}\n[destinations.billing.routes.Vehicle]\ntimeout = \"1s\"\n"
        );
        let config = Config::parse("relay.toml", &text, &environment).unwrap();
        let billing = &config.destinations[0];
        for route in [&billing.route, billing.route_of("Vehicle")] {
            let [header] = &route.headers[..] else {
                panic!("{route:?}")
            };
            assert_eq!((&*header.name, &*header.value), (name, value));
            assert!(header.is_secret);
            assert_eq!(route.credentials, credentials);
        }
        let shown = config.effective().to_string();
        assert!(
            !shown.contains("sesame") && !shown.contains("t0k"),
            "{shown}"
        );
    }
}

#[test]
fn a_grant_is_read_whole_and_a_route_may_ask_for_another_scope() {
    let environment = Environment::of([("SECRET", "open sesame")]);
    let text = format!(
        "{LEAST}
        [destinations.billing.auth]
        type = \"oauth2\"
        token_url = \"https://login.internal/token?tenant=1\"
        client_id = \"relay\"
        client_secret = \"env:SECRET\"
        [destinations.billing.routes.Vehicle]
        auth = {{ scopes = [\"write\"], audience = \"fleet\" }}
        "
    );
    let config = Config::parse("relay.toml", &text, &environment).unwrap();
    let billing = &config.destinations[0];
    let grant = billing.route.grant.as_deref().unwrap();
    let expected = Grant {
        token_url: "https://login.internal/token?tenant=1".into(),
        client_id: "relay".into(),
        client_secret: "open sesame".into(),
        scopes: vec![],
        audience: None,
    };
    assert_eq!(*grant, expected);
    assert!(billing.route.headers.is_empty());
    let own = billing.route_of("Vehicle").grant.as_deref().unwrap();
    assert_eq!(own.scopes, ["write"]);
    assert_eq!(own.audience.as_deref(), Some("fleet"));
    assert_eq!(own.token_url, expected.token_url);
    let shown = format!("{} {billing:?}", config.effective());
    assert!(
        !shown.contains("sesame") && shown.contains("tenant"),
        "{shown}"
    );
}

#[test]
fn a_route_may_prove_it_in_another_way() {
    let environment = Environment::of([("PASSWORD", "p"), ("TOKEN", "t")]);
    let text = format!(
        "{LEAST}
        auth = {{ type = \"basic\", username = \"relay\", password = \"env:PASSWORD\" }}
        [destinations.billing.routes.Vehicle]
        auth = {{ type = \"bearer\", token = \"env:TOKEN\" }}
        "
    );
    let config = Config::parse("relay.toml", &text, &environment).unwrap();
    let own = config.destinations[0].route_of("Vehicle");
    assert_eq!(own.headers.len(), 1);
    assert_eq!(own.headers[0].value, "Bearer t");
}

#[test]
fn a_destination_s_networks_replace_those_of_the_defaults() {
    let config = parse(&format!(
        "{LEAST}
        egress = {{ allow = [\"10.20.0.0/16\"] }}
        [defaults.egress]
        allow = [\"::1/128\"]
        deny = [\"10.20.9.0/24\"]
        "
    ));
    let egress = &config.destinations[0].egress;
    let verdict = |address: &str| egress.check(address.parse().unwrap()).is_ok();
    assert!(verdict("10.20.1.1"));
    assert!(!verdict("::1") && !verdict("10.20.9.1") && !verdict("10.21.1.1"));
    let plain = &parse(LEAST).destinations[0].egress;
    assert!(plain.check("10.20.9.1".parse().unwrap()).is_ok());
    assert!(plain.check("127.0.0.1".parse().unwrap()).is_err());
}

#[test]
fn retries_in_place_are_never_more_than_all_retries() {
    let config = parse(&format!(
        "{LEAST}\n[destinations.billing.routes.\"Fleet::Car\".retry]\nmax_retries = 1"
    ));
    let billing = &config.destinations[0];
    assert_eq!(billing.route_of("Fleet::Car").retry.in_place, 1);
    assert_eq!(billing.route_of("Vehicle").retry.in_place, 2);
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
fn the_environment_beats_the_file() {
    let environment = Environment::of([
        ("RELAY__STORE__CONNECTIONS_MAX", "7"),
        ("RELAY__DESTINATIONS__BILLING__URL", "\"http://other/x\""),
        ("RELAY__KAFKA__BROKERS", "[\"a:1\", \"b:2\"]"),
        ("RELAY__DEFAULTS__RETENTION__SUCCESS", "'1h'"),
    ]);
    let config = Config::parse("relay.toml", LEAST, &environment).unwrap();
    assert_eq!(config.store.connections_max, 7);
    assert_eq!(config.kafka.brokers, ["a:1", "b:2"]);
    let billing = &config.destinations[0];
    assert_eq!(billing.route.url.to_string(), "http://other/x");
    assert_eq!(billing.retention.success, Duration::from_secs(3600));
}

#[test]
fn a_disabled_destination_is_checked_and_named_but_not_delivered_to() {
    let config = parse(&format!("{LEAST}\nenabled = false"));
    assert!(config.destinations.is_empty());
    assert_eq!(config.disabled_destinations, ["billing".into()]);
}

#[test]
fn every_problem_is_told_at_once_with_its_line() {
    let text = r#"
[relay]
drain_timout = "25s"
[kafka]
commit_interval = "1ms"
[store]
url = "mysql://x"
[telemetri]
level = "debug"
[destinations.Billing]
concurrency = "many"
"#;
    let environment = Environment::of([("RELAY__LOG__FLUSH_ROWS", "0")]);
    assert_eq!(
        problems(text, &environment),
        [
            "destinations.Billing.url is required",
            "kafka.brokers is required",
            "relay.toml:3: relay.drain_timout is unknown (did you mean drain_timeout?)",
            "relay.toml:5: kafka.commit_interval must be a duration from 50ms to 10s, like \"500ms\" \"5s\" \"10m\" \"6h\" \"7d\", not \"1ms\"",
            "relay.toml:7: store.url must be postgres://… or sqlite://path, not \"mysql://x\"",
            "relay.toml:8: telemetri is unknown (did you mean telemetry?)",
            "relay.toml:10: destinations.Billing must be named [a-z][a-z0-9_]{0,62}",
            "relay.toml:11: destinations.Billing.concurrency must be a whole number from 1 to 4096, not \"many\"",
            "RELAY__LOG__FLUSH_ROWS: log.flush_rows must be a whole number from 1 to 50000, not 0",
        ]
    );
}

/// A line of a destination, and what is said about it.
const WRONG_VALUES: &[(&str, &str)] = &[
    (
        "timeout = 5",
        "timeout must be a duration from 100ms to 5m, like \"500ms\" \"5s\" \"10m\" \"6h\" \"7d\", not 5",
    ),
    (
        "timeout = \"50ms\"",
        "timeout must be a duration from 100ms to 5m, like \"500ms\" \"5s\" \"10m\" \"6h\" \"7d\", not \"50ms\"",
    ),
    (
        "response_max = \"1kb\"",
        "response_max must be a size from 1KiB to 16MiB, like \"64KiB\" \"1MiB\", not \"1kb\"",
    ),
    (
        "concurrency = 0",
        "concurrency must be a whole number from 1 to 4096, not 0",
    ),
    (
        "concurrency = -1",
        "concurrency must be a whole number from 1 to 4096, not -1",
    ),
    (
        "concurrency = 99999999999999999999",
        "concurrency must be a whole number from 1 to 4096, not 99999999999999999999",
    ),
    (
        "routes = { Vehicle = { url = \"/vehicles/{kye}\" } }",
        "routes.Vehicle.url has the unknown placeholder {kye} (did you mean key?)",
    ),
    (
        "routes = { Vehicle = { url = \"/vehicles/{key\" } }",
        "routes.Vehicle.url has a { or } without the other",
    ),
    (
        "routes = { Vehicle = { url = \"/../vehicles\" } }",
        "routes.Vehicle.url has a segment . or .., which servers take away",
    ),
    (
        "routes = { Vehicle = { url = \"vehicles\" } }",
        "routes.Vehicle.url must be a path that begins with /, or an absolute http or https URL without credentials or fragment, not \"vehicles\"",
    ),
    (
        "routes = { Vehicle = { url = \"/vehicles#{key}\" } }",
        "routes.Vehicle.url must be a path that begins with /, or an absolute http or https URL without credentials or fragment, not \"/vehicles#{key}\"",
    ),
    (
        "envelope = \"cloudevent\"",
        "envelope must be \"record\" or \"attributes\" or \"cloudevents\", not \"cloudevent\" (did you mean cloudevents?)",
    ),
    ("body = \"$key\"", "body must be a table, not \"$key\""),
    (
        "body = { a = { b = [1, \"$kye\"] } }",
        "body.a.b[1] wants the unknown $kye (did you mean key?)",
    ),
    (
        "body = { a = \"$attribute.plate\" }",
        "body.a wants the unknown $attribute.plate (did you mean attributes.<name>?)",
    ),
    (
        "body = { a = nan }",
        "body.a must be what JSON has: a string, a number of 64 bits, true, false, a list or a table, not NaN",
    ),
    (
        "body = { a = 2026-11-22 }",
        "body.a must be what JSON has: a string, a number of 64 bits, true, false, a list or a table, not 2026-11-22",
    ),
    (
        "body = { a = \"env:NOPE\" }",
        "body.a is \"env:NOPE\", which is not set",
    ),
    (
        "body = { a = \"$key\" }\nenvelope = \"record\"",
        "body cannot stand beside destinations.search.envelope: either says what is sent",
    ),
    (
        "routes = { Vehicle = { envelope = \"record\", body = { a = 1 } } }",
        "routes.Vehicle.body cannot stand beside destinations.search.routes.Vehicle.envelope: either says what is sent",
    ),
    (
        "batch = { max_records = 0 }",
        "batch.max_records must be a whole number from 1 to 1000, not 0",
    ),
    (
        "batch = { max_records = 2, max_wait = \"11s\" }",
        "batch.max_wait must be a duration from 0ms to 10s, like \"500ms\" \"5s\" \"10m\" \"6h\" \"7d\", not \"11s\"",
    ),
    (
        "batch = { max_records = 2, max_bytes = \"1B\" }",
        "batch.max_bytes must be a size from 1KiB to 64MiB, like \"64KiB\" \"1MiB\", not \"1B\"",
    ),
    (
        "batch = { max_record = 2 }",
        "batch.max_record is unknown (did you mean max_records?)",
    ),
    (
        "batch = { max_records = 2 }\nenvelope = \"attributes\"",
        "batch.max_records must be 1 where destinations.search.envelope is \"attributes\", which do not say whose they are, not 2",
    ),
    (
        "batch = { max_records = 2 }\nroutes = { Vehicle = { url = \"/{key}\" } }",
        "batch.max_records must be 1 where destinations.search.routes.Vehicle.url has {key} or {version}, which are those of one record, not 2",
    ),
    (
        "method = \"GET\"",
        "method must be \"POST\" or \"PUT\" or \"PATCH\" or \"DELETE\", not \"GET\" (the nearest is DELETE)",
    ),
    (
        "method = 5",
        "method must be a method, or a table of the methods delete and default, not 5",
    ),
    (
        "method = { default = \"PUT\", delete = \"delete\" }",
        "method.delete must be \"POST\" or \"PUT\" or \"PATCH\" or \"DELETE\", not \"delete\" (did you mean DELETE?)",
    ),
    (
        "method = { default = \"PUT\", delete = \"DELETE\", create = \"POST\" }",
        "method.create is unknown (the nearest is delete)",
    ),
    (
        "routes = { Vehicle = { method = \"HEAD\" } }",
        "routes.Vehicle.method must be \"POST\" or \"PUT\" or \"PATCH\" or \"DELETE\", not \"HEAD\" (the nearest is DELETE)",
    ),
    (
        "enabled = \"yes\"",
        "enabled must be true or false, not \"yes\"",
    ),
    (
        "start = \"earliset\"",
        "start must be \"earliest\" or \"latest\", not \"earliset\" (did you mean earliest?)",
    ),
    (
        "start = 2026-11-22",
        "start must be \"earliest\" or \"latest\", not 2026-11-22",
    ),
    (
        "log_body = \"some\"",
        "log_body must be \"none\" or \"failures\" or \"all\", not \"some\" (the nearest is none)",
    ),
    (
        "sources = [\"Mono\"]",
        "sources[0] must be a source: [a-z][a-z0-9_-]{0,62}, not \"Mono\"",
    ),
    (
        "sources = \"monolith\"",
        "sources must be a list, not \"monolith\"",
    ),
    (
        "mask = [3]",
        "mask[0] must be the name of an attribute, not 3",
    ),
    (
        "retention = \"7d\"",
        "retention must be a table, not \"7d\"",
    ),
    (
        "retention = { sucess = \"1h\" }",
        "retention.sucess is unknown (did you mean success?)",
    ),
    (
        "retry = { max_retries = 101 }",
        "retry.max_retries must be a whole number from 0 to 100, not 101",
    ),
    (
        "retry = { base = \"2h\", cap = \"1h\" }",
        "retry.cap must be at least destinations.search.retry.base (2h), not \"1h\"",
    ),
    (
        "retry = { factor = 0.5 }",
        "retry.factor must be a number from 1 to 10, not 0.5",
    ),
    (
        "retry = { jitter = 2 }",
        "retry.jitter must be a number from 0 to 1, not 2",
    ),
    (
        "retry = { jitter = nan }",
        "retry.jitter must be a number from 0 to 1, not NaN",
    ),
    (
        "breaker = { open_base = \"2m\" }",
        "defaults.breaker.open_cap must be at least destinations.search.breaker.open_base (2m), not \"1m\"",
    ),
    (
        "headers = { \"Content-Type\" = \"x\" }",
        "headers.Content-Type is refused: the relay sends that header itself",
    ),
    (
        "headers = { \"replicates-to-key\" = \"x\" }",
        "headers.replicates-to-key is refused: the relay sends that header itself",
    ),
    (
        "headers = { \"a b\" = \"x\" }",
        "headers.a b is not a header's name",
    ),
    (
        "headers = { a = \"x\\ny\" }",
        "headers.a must be printable ASCII",
    ),
    (
        "headers = { a = \"x\", A = \"y\" }",
        "headers.a is there twice: names of headers ignore case",
    ),
    ("headers = { a = 1 }", "headers.a must be a string, not 1"),
    (
        "routes = { Vehicle = { timeout = \"6m\" } }",
        "routes.Vehicle.timeout must be a duration from 100ms to 5m, like \"500ms\" \"5s\" \"10m\" \"6h\" \"7d\", not \"6m\"",
    ),
    (
        "routes = { Vehicle = { concurrency = 5 } }",
        "routes.Vehicle.concurrency is unknown (the nearest is",
    ),
    (
        "routes = { Vehicle = { retry = { retry_after_max = \"5s\" } } }",
        "routes.Vehicle.retry.retry_after_max is unknown (the nearest is",
    ),
    (
        "routes = { Vehicle = { breaker = { open_base = \"5s\" } } }",
        "routes.Vehicle.breaker.open_base is unknown (the nearest is",
    ),
    (
        "routes = { Vehicle = { retry = { base = \"7h\" } } }",
        "defaults.retry.cap must be at least destinations.search.routes.Vehicle.retry.base (7h), not \"6h\"",
    ),
    (
        "routes = { Vehicle = { headers = { host = \"x\" } } }",
        "routes.Vehicle.headers.host is refused: the relay sends that header itself",
    ),
    ("routes = { Vehicle = 5 }", "routes.Vehicle must be a table"),
    (
        "routes = { \"Ve-hicle\" = {} }",
        "routes.Ve-hicle must be named like a model: Vehicle, or Fleet::Car in quotes",
    ),
    ("auth = \"bearer\"", "auth must be a table, not \"bearer\""),
    (
        "auth = { type = \"digest\" }",
        "auth.type must be \"basic\" or \"bearer\" or \"header\" or \"oauth2\", not \"digest\" (the nearest is oauth2)",
    ),
    (
        "auth = { type = \"basic\", username = \"a:b\", password = \"file:/proc/sys/kernel/ostype\" }",
        "auth.username must be a name without a colon, not \"a:b\"",
    ),
    (
        "auth = { type = \"bearer\", token = \"hunter2\" }",
        "auth.token must be a reference (\"env:NAME\" or \"file:/path\"), not a plain value",
    ),
    (
        "auth = { type = \"oauth2\", token_url = \"login.internal\", client_id = \"relay\", client_secret = \"file:/proc/sys/kernel/ostype\" }",
        "auth.token_url must be an absolute http or https URL without credentials or fragment, not \"login.internal\"",
    ),
    (
        "auth = { type = \"oauth2\", token_url = \"https://a:hunter2@login/\", client_id = \"relay\", client_secret = \"file:/proc/sys/kernel/ostype\" }",
        "auth.token_url must be an absolute http or https URL without credentials or fragment, not \"https://a:***@login/\"",
    ),
    (
        "auth = { type = \"oauth2\", token_url = \"https://login/{key}\", client_id = \"relay\", client_secret = \"file:/proc/sys/kernel/ostype\" }",
        "auth.token_url must be an absolute http or https URL without credentials or fragment, not \"https://login/{key}\"",
    ),
    (
        "auth = { type = \"oauth2\", token_url = \"https://login/\", client_id = \"\", client_secret = \"file:/proc/sys/kernel/ostype\" }",
        "auth.client_id must be the name of a client, not \"\"",
    ),
    (
        "auth = { type = \"oauth2\", token_url = \"https://login/\", client_id = \"relay\", client_secret = \"hunter2\" }",
        "auth.client_secret must be a reference (\"env:NAME\" or \"file:/path\"), not a plain value",
    ),
    (
        "auth = { type = \"oauth2\", token_url = \"https://login/\", client_id = \"relay\", client_secret = \"file:/proc/sys/kernel/ostype\", scopes = [\"a b\"] }",
        "auth.scopes[0] must be a scope: printable ASCII without spaces, \" and \\, not \"a b\"",
    ),
    (
        "auth = { type = \"oauth2\", token_url = \"https://login/\", client_id = \"relay\", client_secret = \"file:/proc/sys/kernel/ostype\", scope = \"a\" }",
        "auth.scope is unknown (did you mean scopes?)",
    ),
    (
        "auth = { type = \"oauth2\", token_url = \"https://login/\", client_id = \"relay\", client_secret = \"file:/proc/sys/kernel/ostype\" }\nheaders = { Authorization = \"x\" }",
        "auth sends authorization, which headers has as well",
    ),
    (
        "auth = { type = \"bearer\", tokn = \"hunter2\", token = \"file:/proc/sys/kernel/ostype\" }",
        "auth.tokn is unknown (did you mean token?)",
    ),
    (
        "auth = { type = \"bearer\", token = \"file:/proc/cpuinfo\" }",
        "auth.token holds what a request cannot carry, such as a line's end",
    ),
    (
        "auth = { type = \"header\", name = \"Webhook-Id\", value = \"file:/proc/sys/kernel/ostype\" }",
        "auth.name must be a header that the relay does not send itself, not \"Webhook-Id\"",
    ),
    (
        "auth = { type = \"header\", name = \"X-Key\", value = \"file:/proc/sys/kernel/ostype\" }\nheaders = { x-key = \"1\" }",
        "auth sends x-key, which headers has as well",
    ),
    (
        "auth = { type = \"bearer\", token = \"file:/proc/sys/kernel/ostype\" }\nheaders = { Authorization = \"x\" }",
        "auth sends authorization, which headers has as well",
    ),
    (
        "egress = { allow = [\"10.20.0.1/16\"] }",
        "egress.allow[0] must be a network, like \"10.20.0.0/16\" \"192.0.2.7/32\" \"2001:db8::/32\", not \"10.20.0.1/16\"",
    ),
    (
        "egress = { deny = [\"::/0\", \"billing.internal\"] }",
        "egress.deny[1] must be a network, like \"10.20.0.0/16\" \"192.0.2.7/32\" \"2001:db8::/32\", not \"billing.internal\"",
    ),
    (
        "egress = { allow = \"10.0.0.0/8\" }",
        "egress.allow must be a list, not \"10.0.0.0/8\"",
    ),
    (
        "egress = { allowed = [] }",
        "egress.allowed is unknown (did you mean allow?)",
    ),
    (
        "adaptive = \"yes\"",
        "adaptive must be true or false, not \"yes\"",
    ),
    (
        "adaptve = false",
        "adaptve is unknown (did you mean adaptive?)",
    ),
    (
        "routes = { Vehicle = { adaptive = false } }",
        "routes.Vehicle.adaptive is unknown (the nearest is",
    ),
    (
        "rate_limit = -1",
        "rate_limit must be a number from 0 to 1000000, not -1",
    ),
    (
        "rate_limit = \"5/s\"",
        "rate_limit must be a number from 0 to 1000000, not \"5/s\"",
    ),
    (
        "rate_limt = 5",
        "rate_limt is unknown (did you mean rate_limit?)",
    ),
    (
        "routes = { Vehicle = { rate_limit = 5 } }",
        "routes.Vehicle.rate_limit is unknown (the nearest is",
    ),
    (
        "skip_unchanged = \"yes\"",
        "skip_unchanged must be true or false, not \"yes\"",
    ),
    (
        "skip_unchangd = true",
        "skip_unchangd is unknown (did you mean skip_unchanged?)",
    ),
    (
        "retry = { classify = { 409 = \"retri\" } }",
        "retry.classify.409 must be \"delivered\" or \"stale\" or \"retry\" or \"reject\" or \"endpoint\" or \"suspect\", not \"retri\" (did you mean retry?)",
    ),
    (
        "retry = { classify = { dns = \"delivered\" } }",
        "retry.classify.dns must be \"retry\" or \"reject\" or \"endpoint\" or \"suspect\", not \"delivered\" (the nearest is reject)",
    ),
    (
        "retry = { classify = { timeout = 3 } }",
        "retry.classify.timeout must be \"retry\" or \"reject\" or \"endpoint\" or \"suspect\", not 3",
    ),
    (
        "retry = { classify = { 4XX = \"retry\" } }",
        "retry.classify.4XX is unknown: a status from 200 to 599, 4xx, 5xx or an error class (did you mean 4xx?)",
    ),
    (
        "retry = { classify = { timeot = \"retry\" } }",
        "retry.classify.timeot is unknown: a status from 200 to 599, 4xx, 5xx or an error class (did you mean timeout?)",
    ),
    (
        "retry = { classify = { unmappable = \"retry\" } }",
        "retry.classify.unmappable is unknown: a status from 200 to 599, 4xx, 5xx or an error class (the nearest is",
    ),
    (
        "retry = { classify = { 600 = \"retry\" } }",
        "retry.classify.600 is unknown: a status from 200 to 599, 4xx, 5xx or an error class",
    ),
    (
        "retry = { classify = \"409\" }",
        "retry.classify must be a table, not \"409\"",
    ),
];

#[test]
fn wrong_values_are_told_by_key_value_and_what_is_allowed() {
    let long = "x".repeat(64);
    for (line, message) in WRONG_VALUES {
        let text = format!("{LEAST}\n[destinations.search]\nurl = \"http://search\"\n{line}\n");
        let found = problems(&text, &Environment::default());
        assert_eq!(found.len(), 1, "{line}: {found:#?}");
        let expected = if message.starts_with("defaults.") {
            format!("relay.default.toml: {message}")
        } else {
            format!("relay.toml:11: destinations.search.{message}")
        };
        if message.ends_with("(did you mean") || message.ends_with("(the nearest is") {
            let known = expected.split(" (").next().unwrap();
            assert!(
                found[0].starts_with(known) && found[0].ends_with(')'),
                "{line}: {found:#?}"
            );
        } else {
            assert_eq!(found[0], expected, "{line}");
        }
    }
    let text = format!("{LEAST}\n[destinations.{long}]\nurl = \"http://x\"");
    assert_eq!(problems(&text, &Environment::default()).len(), 1);
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
            "must be an absolute http or https URL",
            "has a placeholder outside of path and query",
        ];
        let is_told = |message: &&str| {
            found[0].starts_with(&format!("relay.toml:10: destinations.search.url {message}"))
        };
        assert!(told.iter().any(is_told), "{url}: {found:#?}");
        assert!(!found[0].contains("pw@"), "{found:#?}");
    }
}

#[test]
fn the_same_problem_of_the_defaults_is_told_once() {
    let text = format!(
        "{LEAST}\n[destinations.search]\nurl = \"http://search\"\n[defaults]\nconcurrency = 0\ntimout = \"1s\"\nurl = \"http://x\""
    );
    let found = problems(&text, &Environment::default());
    assert_eq!(found.len(), 3, "{found:#?}");
    assert_eq!(
        found[0],
        "relay.toml:12: defaults.concurrency must be a whole number from 1 to 4096, not 0"
    );
    assert_eq!(
        found[1],
        "relay.toml:13: defaults.timout is unknown (did you mean timeout?)"
    );
    assert!(found[2].starts_with("relay.toml:14: defaults.url is unknown"));
}

#[test]
fn keys_that_do_not_exist_yet_are_unknown() {
    let text = r#"
[admin]
console = true
[telemetry]
otlp_endpoint = "http://otel:4317"
"#;
    let found = problems(&format!("{LEAST}{text}"), &Environment::default());
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found[0].starts_with("relay.toml:10: admin.console is unknown"));
    assert!(found[1].starts_with("relay.toml:12: telemetry.otlp_endpoint is unknown"));
}

#[test]
fn broken_toml_is_told_with_its_line() {
    let found = problems("[kafka\nbrokers = [\n", &Environment::default());
    assert!(
        found
            .iter()
            .any(|line| line.starts_with("relay.toml:1: not valid TOML: ")),
        "{found:#?}"
    );
}

#[test]
fn properties_that_the_relay_owns_or_librdkafka_refuses_are_told() {
    let text = format!(
        "{LEAST}\n[kafka.properties]\n\"group.id\" = \"x\"\n\"securty.protocol\" = \"ssl\"\n\"socket.timeout.ms\" = -5\n\"sasl.password\" = \"hunter2\""
    );
    let found = problems(&text, &Environment::default());
    assert_eq!(found.len(), 4, "{found:#?}");
    assert_eq!(
        found[0],
        "relay.toml:10: kafka.properties.group.id is the relay's own: set kafka.group_prefix"
    );
    assert!(
        found[1].contains("kafka.properties.securty.protocol is refused by librdkafka: "),
        "{found:#?}"
    );
    assert!(
        found[2].contains("kafka.properties.socket.timeout.ms is refused by librdkafka: "),
        "{found:#?}"
    );
    assert!(
        found[3].contains("kafka.properties.sasl.password must be a reference"),
        "{found:#?}"
    );
}

#[test]
fn the_log_must_not_have_more_partitions_than_it_can_plan() {
    let text = format!("{LEAST}\nretention = {{ failure = \"151d\" }}");
    assert_eq!(
        problems(&text, &Environment::default()),
        [
            "relay.default.toml: store.partition_width must be at least 1/150 of the longest retention (151d, destinations.billing.retention.failure), not \"1d\""
        ]
    );
}

#[test]
fn without_tokens_the_api_listens_on_loopback_only() {
    let open = format!("{LEAST}\n[admin]\nlisten = \"0.0.0.0:8080\"");
    assert_eq!(
        problems(&open, &Environment::default()),
        [
            "relay.toml:10: admin.listen is 0.0.0.0:8080, which is not loopback: admin.tokens must name who may call"
        ]
    );
    let text = format!(
        "{open}\ntokens = [{{ name = \"ops\", role = \"operator\", token = \"env:OPS\" }}]"
    );
    let config = Config::parse("relay.toml", &text, &Environment::of([("OPS", "t0ken")])).unwrap();
    assert_eq!(config.admin.tokens[0].role, Role::Operator);
    assert_eq!(config.admin.tokens[0].token.expose(), "t0ken");
}

/// Every place that takes a secret, each with its own text.
const SECRETIVE: &str = r#"
[kafka]
brokers = ["127.0.0.1:9092"]
properties = { "sasl.password" = "env:KAFKA", "sasl.username" = "relay" }
[store]
url = "env:STORE"
[admin]
tokens = [{ name = "ops", role = "operator", token = "env:TOKEN" }]
[destinations.billing]
url = "http://billing"
headers = { x-api-key = "env:HEADER", x-tenant = "main" }
signing = { secrets = ["env:SIGNING"] }
"#;

fn secrets() -> Environment {
    Environment::of([
        ("KAFKA", "secret-of-kafka"),
        ("STORE", "postgres://relay:secret-of-store@db/relay"),
        ("TOKEN", "secret-of-token"),
        ("HEADER", "secret-of-header"),
        ("SIGNING", "whsec_c2VjcmV0LW9mLXNpZ25pbmctMDEyMzQ1Njc4OQ=="),
    ])
}

#[test]
fn secrets_are_never_shown() {
    let config = Config::parse("relay.toml", SECRETIVE, &secrets()).unwrap();
    assert_eq!(
        config.kafka.properties["sasl.password"].expose(),
        "secret-of-kafka"
    );
    assert!(config.destinations[0].route.headers[0].is_secret);
    assert_eq!(
        config.destinations[0].route.signing[0].0,
        b"secret-of-signing-0123456789"
    );
    for shown in [
        format!("{config:?}"),
        config.effective().to_string(),
        format!("{:?}", config.kafka),
        format!("{:?}", config.store),
        format!("{:?}", config.admin),
    ] {
        for secret in ["secret-of", "c2VjcmV0"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
    let effective = config.effective();
    assert_eq!(effective["store"]["url"], "postgres://relay:***@db/relay");
    assert_eq!(effective["kafka"]["properties"]["sasl.username"], "relay");
    assert_eq!(effective["kafka"]["properties"]["sasl.password"], "***");
    let billing = &effective["destinations"]["billing"];
    assert_eq!(billing["headers"]["x-api-key"], "***");
    assert_eq!(billing["headers"]["x-tenant"], "main");
    assert_eq!(billing["signing"]["secrets"][0], "***");
    assert_eq!(billing["timeout"], "15s");
}

#[test]
fn plain_secrets_are_refused_and_not_repeated() {
    let text = SECRETIVE
        .replace("env:KAFKA", "hunter2-a")
        .replace("env:STORE", "postgres://relay:hunter2-b@db/relay")
        .replace("env:TOKEN", "hunter2-c")
        .replace("env:SIGNING", "whsec_hunter2-d");
    let found = problems(&text, &secrets());
    assert_eq!(found.len(), 4, "{found:#?}");
    for problem in &found {
        assert!(
            problem.contains("reference (\"env:NAME\" or \"file:/path\")"),
            "{problem}"
        );
        assert!(!problem.contains("hunter2"), "{problem}");
    }
}

#[test]
fn references_that_lead_nowhere_are_told_by_name() {
    let found = problems(SECRETIVE, &Environment::default());
    assert_eq!(found.len(), 5, "{found:#?}");
    assert!(
        found.contains(&"relay.toml:6: store.url is \"env:STORE\", which is not set".to_owned()),
        "{found:#?}"
    );
}

#[test]
fn what_a_reference_of_a_url_holds_is_not_repeated_when_it_is_wrong() {
    let text = format!("{LEAST}\n[destinations.search]\nurl = \"env:URL\"");
    for wrong in ["http://search/{secret}", "secret", "http://{secret}/"] {
        let found = problems(&text, &Environment::of([("URL", wrong)]));
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(!found[0].contains("secret"), "{found:#?}");
    }
}

#[test]
fn what_a_reference_holds_is_not_repeated_when_it_is_wrong() {
    let environment = Environment::of([
        ("KAFKA", "secret-of-kafka"),
        ("STORE", "mysql://secret-of-store"),
        ("TOKEN", "secret-of-token"),
        ("HEADER", "secret-of-header\u{7f}"),
        ("SIGNING", "secret-of-signing"),
    ]);
    let found = problems(SECRETIVE, &environment);
    assert_eq!(found.len(), 3, "{found:#?}");
    assert!(!found.join("\n").contains("secret-of"), "{found:#?}");
    assert_eq!(
        found[0],
        "relay.toml:6: store.url must be postgres://… or sqlite://path, not what \"env:STORE\" holds"
    );
}

fn require_in_reference(path: &str, value: &serde_json::Value) {
    let serde_json::Value::Object(table) = value else {
        return;
    };
    for (key, value) in table {
        let is_named_by_people = path == "destinations" || key == "destinations";
        if !is_named_by_people {
            let is_there = DEFAULTS.lines().any(|line| {
                let line = line.trim_start_matches("# ");
                line.starts_with(&format!("{key} =")) || line.ends_with(&format!("{key}]"))
            });
            assert!(is_there, "{key} is not in the reference");
        }
        require_in_reference(key, value);
    }
}

#[test]
fn the_reference_names_every_key_that_holds() {
    let config = parse(LEAST);
    require_in_reference("", config.effective());
}

#[test]
fn a_destination_may_send_as_many_requests_as_it_may_whatever_becomes_of_them() {
    let text = format!(
        "{LEAST}[defaults]\nadaptive = false\n[destinations.search]\nurl = \"http://search\"\nadaptive = true\n"
    );
    let config = parse(&text);
    let adaptive = |name: &str| {
        let mut all = config.destinations.iter();
        all.find(|one| &*one.name == name).unwrap().is_adaptive
    };
    assert!(!adaptive("billing"));
    assert!(adaptive("search"));
}
