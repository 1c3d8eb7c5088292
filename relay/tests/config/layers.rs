//! What holds, of defaults, file, environment, destination and route.

use std::time::Duration;

use relay_core::settings::{Batching, Breaker, LogBody, Retry};
use replicates_relay::config::{Config, DEFAULTS, DevFlags, Environment, StoreKind};

use crate::{LEAST, parse};

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
fn a_disabled_destination_is_checked_and_named_but_not_delivered_to() {
    let config = parse(&format!("{LEAST}\nenabled = false"));
    assert!(config.destinations.is_empty());
    assert_eq!(config.disabled_destinations, ["billing".into()]);
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
