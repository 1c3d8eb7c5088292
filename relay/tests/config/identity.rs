//! Who the relay is to its endpoints, and where those may be.

use relay_core::token::Grant;
use replicates_relay::config::{Config, Environment};

use crate::{LEAST, parse};

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
