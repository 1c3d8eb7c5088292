//! What a file says is what is set, each value where it belongs.
//!
//! All values differ, from their defaults and from each other. The settings are taken apart whole, here or by their `Debug`: a
//! setting that is new is missing here.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rcgen::{CertificateParams, KeyPair};
use relay_core::request::Body;
use relay_core::settings::{Destination, Identity, Route, Tls, TlsVersion};
use relay_core::token::Grant;
use relay_test_support::reference::keys_of;
use replicates_relay::config::{Config, DEFAULTS, Environment};
use replicates_relay::http;
use replicates_relay::store::Open;

const FILE: &str = include_str!("file.toml");

const LEAST: &str = r#"
[kafka]
brokers = ["kafka:9092"]
[store]
url = "sqlite://relay.db"
[destinations.fleet]
url = "http://fleet"
"#;

/// A certificate with its key, both in DER.
fn certificate() -> (Vec<u8>, Vec<u8>) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["relay".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    (certificate.der().to_vec(), key.serialize_der())
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}

fn signing(secret: &str) -> String {
    format!("whsec_{}", BASE64_STANDARD.encode(secret.repeat(8)))
}

/// The configuration of the file, and what its destination knows servers by.
fn read() -> (Config, Tls) {
    let ((authority, _), (chain, key)) = (certificate(), certificate());
    let environment = Environment::of([
        ("KEY", "of-grafana"),
        ("OPS", "of-ops"),
        ("AUTHORITY", &pem("CERTIFICATE", &authority)),
        ("CHAIN", &pem("CERTIFICATE", &chain)),
        ("CHAIN_KEY", &pem("PRIVATE KEY", &key)),
        ("SIGNING", &signing("new")),
        ("OLD_SIGNING", &signing("old")),
        ("OWN_SIGNING", &signing("own")),
    ]);
    let tls = Tls {
        authorities: vec![authority],
        identity: Some(Identity {
            chain: vec![chain],
            key,
        }),
        min_version: TlsVersion::Tls13,
    };
    let config = Config::parse("relay.toml", FILE, &environment);
    (config.unwrap_or_else(|problems| panic!("{problems}")), tls)
}

/// All that holds for a route, one setting a line.
fn lines_of(route: &Route) -> String {
    let Route {
        url,
        methods,
        body,
        batch,
        headers,
        grant,
        credentials,
        timeout,
        skip_unchanged,
        log_body,
        log_body_bytes_max,
        mask,
        retry,
        classify,
        breaker,
        signing,
    } = route;
    let body = match body {
        Body::Template(_) => "Template".to_owned(),
        named => format!("{named:?}"),
    };
    let headers: Vec<_> = headers
        .iter()
        .map(|header| format!("{}={}", header.name, header.value))
        .collect();
    let grant = grant.as_deref().map(|grant| {
        let Grant {
            token_url,
            client_id,
            client_secret,
            scopes,
            audience,
        } = grant;
        format!("{token_url} {client_id} {client_secret} {scopes:?} {audience:?}")
    });
    let signing: Vec<_> = signing
        .iter()
        .map(|secret| String::from_utf8_lossy(&secret.0[..3]))
        .collect();
    [
        url.to_string(),
        format!("{methods:?}"),
        body,
        format!("{batch:?}"),
        format!("headers {headers:?}"),
        format!("grant {grant:?}"),
        format!("credentials {credentials:?}"),
        format!("timeout {timeout:?}"),
        format!("skip_unchanged {skip_unchanged}"),
        format!("log_body {log_body:?} {log_body_bytes_max}"),
        format!("mask {mask:?}"),
        format!("{retry:?}"),
        format!("{classify:?}"),
        format!("{breaker:?}"),
        format!("signing {signing:?}"),
    ]
    .join("\n")
}

#[test]
fn a_route_is_what_the_file_says() {
    let (config, _) = read();
    let [fleet] = &config.destinations[..] else {
        panic!("{config:?}")
    };
    let shared = r#"https://fleet.internal/api
Methods { delete: Delete, default: Put }
CloudEvents
Some(Batching { records_max: 29, wait_max: 31ms, bytes_max: 37888 })
headers ["x-team=a"]
grant Some("https://login.internal/ relay of-grafana [\"write\"] Some(\"fleet\")")
credentials []
timeout 41s
skip_unchanged true
log_body All 44032
mask ["phone"]
Retry { max_retries: 47, in_place: 4, base: 53s, factor: 5.9, cap: 61s, jitter: 0.67 }
Classify({Status(409): Stale { version: None }})
Breaker { failure_ratio: 0.73, min_keys: 79, window: 83s }
signing ["new", "old"]"#;
    assert_eq!(lines_of(&fleet.route), shared);
    let own = r#"https://fleet.internal/api/vehicles
Methods { delete: Patch, default: Delete }
Template
Some(Batching { records_max: 101, wait_max: 103ms, bytes_max: 109568 })
headers ["x-team=b", "authorization=Bearer of-ops"]
grant None
credentials ["of-ops"]
timeout 109s
skip_unchanged false
log_body None 115712
mask ["plate"]
Retry { max_retries: 12, in_place: 3, base: 127s, factor: 1.31, cap: 137s, jitter: 0.139 }
Classify({Status(409): Delivered})
Breaker { failure_ratio: 0.149, min_keys: 151, window: 157s }
signing ["own"]"#;
    assert_eq!(lines_of(&fleet.routes["Vehicle"]), own);
}

#[test]
fn a_destination_is_what_the_file_says() {
    let (config, expected_tls) = read();
    let [fleet] = &config.destinations[..] else {
        panic!("{config:?}")
    };
    let Destination {
        name,
        sources,
        start,
        connect_timeout,
        response_bytes_max,
        egress,
        tls,
        concurrency,
        is_adaptive,
        rate_limit,
        parked_max,
        lag_target,
        retention,
        retry_after_max,
        breaker_open,
        route: _,
        routes,
    } = &**fleet;
    let found = [
        format!("{name} {sources:?}"),
        format!("{start:?}"),
        format!("connect_timeout {connect_timeout:?}"),
        format!("response_max {response_bytes_max}"),
        format!("concurrency {concurrency} adaptive {is_adaptive}"),
        format!("rate_limit {rate_limit}"),
        format!("parked_max {parked_max}"),
        format!("lag_target {lag_target:?}"),
        format!("{retention:?}"),
        format!("retry_after_max {retry_after_max:?}"),
        format!("{breaker_open:?}"),
        format!("{egress:?}"),
        format!("{:?}", routes.keys()),
    ];
    let expected = r#"fleet ["crm", "monolith"]
Latest
connect_timeout 3s
response_max 5120
concurrency 7 adaptive false
rate_limit 11.5
parked_max 13
lag_target 17s
Retention { success: 68400s, failure: 82800s }
retry_after_max 71s
BreakerOpen { base: 89s, cap: 97s }
Egress { allow: [Network { first: 10.20.0.0, prefix: 16 }], deny: [Network { first: 10.20.9.0, prefix: 24 }], loopback: IfListed }
["Vehicle"]"#;
    assert_eq!(found.join("\n"), expected);
    assert_eq!(*tls, expected_tls);
    let limits = http::Limits {
        connect_timeout: Duration::from_secs(3),
        response_bytes_max: 5 << 10,
        concurrency: 7,
        // No file says this.
        age_max: Duration::from_secs(60),
    };
    assert_eq!(http::Limits::from(&**fleet), limits);
}

#[test]
fn the_process_is_what_the_file_says() {
    let (config, _) = read();
    let found = [
        format!("{:?}", config.relay),
        format!("{:?}", config.kafka),
        format!("{:?}", config.store),
        format!("{:?}", config.admin),
        format!("{:?}", config.log),
        format!("{:?}", config.telemetry),
    ];
    let expected = r#"Relay { name: "relay-7", drain_timeout: 60s, buffer_bytes_max: 2097152 }
Kafka { brokers: ["kafka-1:9092", "kafka-2:9093"], topic_prefix: "topics.", group_prefix: "groups.", session_timeout: 7s, commit_interval: 300ms, properties: {"client.rack": ***, "socket.timeout.ms": ***} }
Store { url: sqlite://relay.db, connections_max: 9, partition_width: 172800s, partitions_ahead: 4 }
Admin { listen: [::1]:8081, tokens: [Token { name: "grafana", role: Viewer, token: *** }, Token { name: "ops", role: Operator, token: *** }] }
Log { flush_interval: 400ms, flush_rows: 500, is_compressed: false }
Telemetry { level: Level(Debug), format: Some(Text) }"#;
    assert_eq!(found.join("\n"), expected);
    let tokens: Vec<_> = config
        .admin
        .tokens
        .iter()
        .map(|t| t.token.expose())
        .collect();
    assert_eq!(tokens, ["of-grafana", "of-ops"]);
    let client = config.kafka.client();
    let properties: Vec<_> = client.config_map().into_iter().collect();
    let expected = [
        ("bootstrap.servers", "kafka-1:9092,kafka-2:9093"),
        ("client.rack", "a"),
        ("socket.timeout.ms", "5000"),
    ];
    assert_eq!(properties, expected);
    let Open {
        url,
        connections_max,
        partition_width,
        partitions_ahead,
        longest_retention,
        compress,
        replica,
    } = config.open_store();
    assert_eq!((&*url, &*replica), ("sqlite://relay.db", "relay-7"));
    assert_eq!((connections_max, partitions_ahead), (9, 4));
    assert_eq!(partition_width, Duration::from_secs(2 * 86_400));
    assert_eq!(longest_retention.get(), Duration::from_secs(23 * 3_600));
    assert!(!compress);
}

#[test]
fn the_file_says_something_of_its_own_of_every_key_of_a_destination() {
    let (config, _) = read();
    let least = Config::parse("relay.toml", LEAST, &Environment::default()).unwrap();
    let fleet = &config.effective()["destinations"]["fleet"];
    let vehicles = &fleet["routes"]["Vehicle"];
    let default = &least.effective()["destinations"]["fleet"];
    for key in keys_of(DEFAULTS) {
        let Some(key) = key.strip_prefix("defaults.") else {
            continue;
        };
        let pointer = format!("/{}", key.replace('.', "/"));
        let [own, shared, default] = [vehicles, fleet, default].map(|it| it.pointer(&pointer));
        // Either of envelope and body: the destination says the one, its route the other.
        assert!(shared.is_some() || key == "body", "{key}");
        assert!(shared != default || key == "body", "{key}");
        // Secrets look alike.
        let differs = own != shared || key == "signing.secrets";
        assert!(differs, "{key}");
    }
}
