//! `[defaults]`, `[destinations.NAME]` and their routes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use relay_core::egress::Egress;
use relay_core::request::Url;
use relay_core::settings::{BreakerOpen, Destination, Retention, Route, Start, Tls};

use super::body;
use super::egress;
use super::policy::{read_breaker_open, read_retention, read_retry_after_max};
use super::route::{self, TIMEOUT_LIMITS};
use super::section::{Reading, Section, Visibility};
use super::store::mask_passwords;
use super::tls;
use super::tree::{Node, Table, Value};
use super::url;

/// The destinations that deliver, and the names of those that are switched off.
#[derive(Debug, Clone, Default)]
pub struct Destinations {
    pub enabled: Vec<Arc<Destination>>,
    pub disabled: Vec<Arc<str>>,
    /// The longest retention in use, and the key that says so.
    pub longest_retention: (Duration, String),
}

/// Reads `[defaults]` and all destinations of a configuration.
pub(super) fn read_all(
    reading: &Reading<'_>,
    root: &Section<'_>,
    tree: &Table,
) -> Option<Destinations> {
    let defaults = root.section("defaults").hidden();
    let (shared, _) = read_levels(&defaults, None);
    defaults.refuse_unknown_keys();

    let mut is_right = true;
    let mut destinations = Destinations::default();
    for (name, node) in root.entries("destinations") {
        match read(reading, root, name, node, defaults_of(tree)) {
            Some((destination, is_enabled)) => {
                let section = format!("destinations.{name}");
                destinations.note_retention(&section, destination.retention);
                if is_enabled {
                    destinations.enabled.push(Arc::new(destination));
                } else {
                    destinations.disabled.push(destination.name);
                }
            }
            None => is_right = false,
        }
    }
    let shared = shared?;
    if destinations.longest_retention.0.is_zero() {
        destinations.note_retention("defaults", shared.retention);
    }
    is_right.then_some(destinations)
}

impl Destinations {
    fn note_retention(&mut self, section: &str, retention: Retention) {
        let Retention { success, failure } = retention;
        let (retention, key) = if success > failure {
            (success, "success")
        } else {
            (failure, "failure")
        };
        if retention > self.longest_retention.0 {
            self.longest_retention = (retention, format!("{section}.retention.{key}"));
        }
    }
}

fn defaults_of(tree: &Table) -> Table {
    match tree.get("defaults") {
        Some(Node {
            value: Value::Table(defaults),
            ..
        }) => defaults.clone(),
        _ => Table::new(),
    }
}

/// A destination, and whether it is enabled.
fn read(
    reading: &Reading<'_>,
    root: &Section<'_>,
    name: &str,
    node: &Node,
    defaults: Table,
) -> Option<(Destination, bool)> {
    let path = vec!["destinations".to_owned(), name.to_owned()];
    let Value::Table(own) = &node.value else {
        // Instead of a table somebody may have written its URL.
        let written = mask_passwords(&node.value.shown());
        return root.problem(node, format!("must be a table, not {written}"));
    };
    let mut merged = defaults;
    body::lay(&mut merged, own.clone());
    let section = Section::new(reading, path, &merged, Visibility::Shown);
    if !is_destination_name(name) {
        section.problem::<()>(node, "must be named [a-z][a-z0-9_]{0,62}");
    }

    let url = url::read(&section);
    let is_enabled = read_or(&section, "enabled", true);
    let sources = if section.optional("sources").is_some() {
        section.texts("sources", "a source: [a-z][a-z0-9_-]{0,62}", is_source_name)
    } else {
        section.show("sources", Vec::<String>::new());
        Some(Vec::new())
    };
    let (own, route) = read_levels(&section, url.clone());
    let routes = read_routes(reading, &section, &merged, url.as_ref());
    section.refuse_unknown_keys();

    let own = own?;
    let destination = Destination {
        name: name.into(),
        sources: sources?,
        start: own.start,
        connect_timeout: own.connect_timeout,
        egress: own.egress,
        tls: own.tls,
        response_bytes_max: own.response_bytes_max,
        concurrency: own.concurrency,
        is_adaptive: own.is_adaptive,
        rate_limit: own.rate_limit,
        parked_max: own.parked_max,
        lag_target: own.lag_target,
        retention: own.retention,
        retry_after_max: own.retry_after_max,
        breaker_open: own.breaker_open,
        route: route?,
        routes: routes?,
    };
    Some((destination, is_enabled?))
}

fn read_or(section: &Section<'_>, key: &'static str, default: bool) -> Option<bool> {
    if section.optional(key).is_some() {
        return section.flag(key);
    }
    section.show(key, default);
    Some(default)
}

/// Keys that no route has.
const OF_DESTINATIONS: [&str; 13] = [
    "enabled",
    "sources",
    "start",
    "connect_timeout",
    "response_max",
    "concurrency",
    "adaptive",
    "rate_limit",
    "parked_max",
    "lag_target",
    "retention",
    "egress",
    "tls",
];

/// Requests a second. More than any relay sends.
const RATE_MAX: f64 = 1_000_000.0;

const LAG_TARGETS: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(7 * 86_400);

/// What holds for all routes of a destination.
struct Own {
    start: Start,
    connect_timeout: Duration,
    response_bytes_max: usize,
    concurrency: usize,
    is_adaptive: bool,
    rate_limit: f64,
    parked_max: u64,
    lag_target: Duration,
    retention: Retention,
    retry_after_max: Duration,
    breaker_open: BreakerOpen,
    egress: Egress,
    tls: Tls,
}

/// What `[defaults]` and a destination both may say: for the destination as a whole, and for its routes.
fn read_levels(section: &Section<'_>, url: Option<Url>) -> (Option<Own>, Option<Route>) {
    let retry = section.section("retry");
    let breaker = section.section("breaker");
    let route = route::read(section, &retry, &breaker, url);
    let own = read_own(section, &retry, &breaker);
    retry.refuse_unknown_keys();
    breaker.refuse_unknown_keys();
    (own, route)
}

fn read_own(section: &Section<'_>, retry: &Section<'_>, breaker: &Section<'_>) -> Option<Own> {
    let start = section.choice(
        "start",
        &[("earliest", Start::Earliest), ("latest", Start::Latest)],
    );
    let connect_timeout = section.duration("connect_timeout", TIMEOUT_LIMITS);
    let response_bytes_max = section.size("response_max", 1 << 10..=16 << 20);
    let concurrency = section.integer("concurrency", 1..=4096);
    let is_adaptive = section.flag("adaptive");
    let rate_limit = section.number("rate_limit", 0.0..=RATE_MAX);
    let parked_max = section.integer("parked_max", 1..=10_000_000);
    let lag_target = section.duration("lag_target", LAG_TARGETS);
    let retention = read_retention(&section.section("retention"));
    let retry_after_max = read_retry_after_max(retry);
    let breaker_open = read_breaker_open(breaker);
    let egress = egress::read(&section.section("egress"));
    let tls = tls::read(&section.section("tls"));
    Some(Own {
        start: start?,
        connect_timeout: connect_timeout?,
        response_bytes_max: usize::try_from(response_bytes_max?).unwrap_or(usize::MAX),
        concurrency: concurrency? as usize,
        is_adaptive: is_adaptive?,
        rate_limit: rate_limit?,
        parked_max: u64::from(parked_max?),
        lag_target: lag_target?,
        retention: retention?,
        retry_after_max: retry_after_max?,
        breaker_open: breaker_open?,
        egress: egress?,
        tls: tls?,
    })
}

/// Routes by model: what each says, laid over what the destination says.
fn read_routes(
    reading: &Reading<'_>,
    destination: &Section<'_>,
    inherited: &Table,
    url: Option<&Url>,
) -> Option<BTreeMap<String, Route>> {
    let mut routes = BTreeMap::new();
    let mut is_right = true;
    for (model, node) in destination.entries("routes") {
        if !is_model_name(model) {
            destination.problem::<()>(
                node,
                "must be named like a model: Vehicle, or Fleet::Car in quotes",
            );
        }
        let Value::Table(own) = &node.value else {
            is_right = false;
            destination.refuse::<()>(node, "a table");
            continue;
        };
        let mut merged = inherited.clone();
        merged.remove("url");
        body::lay(&mut merged, own.clone());
        let path = destination.path_below(&["routes", model]);
        let section = Section::new(reading, path, &merged, Visibility::Shown);
        let retry = section.section("retry");
        let breaker = section.section("breaker");
        let url = url::read_of_route(&section, url);
        let route = route::read(&section, &retry, &breaker, url);
        refuse_keys_of(destination, [&section, &retry, &breaker]);
        for section in [&retry, &breaker, &section] {
            section.refuse_unknown_keys();
        }
        match route {
            Some(route) => {
                routes.insert(model.clone(), route);
            }
            None => is_right = false,
        }
    }
    is_right.then_some(routes)
}

/// Tells what a route cannot say for itself where it does.
fn refuse_keys_of(destination: &Section<'_>, [route, retry, breaker]: [&Section<'_>; 3]) {
    let refuse = |section: &Section<'_>, below: &[&str], key| {
        let path = destination.path_below(below).join(".");
        section.refuse_own(
            key,
            &format!("holds for a whole destination: set {path}.{key}"),
        );
    };
    for key in OF_DESTINATIONS {
        refuse(route, &[], key);
    }
    refuse(retry, &["retry"], "retry_after_max");
    refuse(breaker, &["breaker"], "open_base");
    refuse(breaker, &["breaker"], "open_cap");
}

fn is_destination_name(text: &str) -> bool {
    is_name(text, |b| {
        b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'
    })
}

fn is_source_name(text: &str) -> bool {
    is_name(text, |b| {
        b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-')
    })
}

fn is_name(text: &str, is_allowed: impl Fn(u8) -> bool) -> bool {
    text.len() <= 63
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(is_allowed)
}

fn is_model_name(text: &str) -> bool {
    text.len() <= 100
        && text.split("::").all(|part| {
            part.starts_with(|c: char| c.is_ascii_alphabetic())
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        })
}
