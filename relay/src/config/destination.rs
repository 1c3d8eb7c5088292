//! `[defaults]`, `[destinations.NAME]` and their routes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use relay_core::settings::{
    Breaker, BreakerOpen, Destination, Header, LogBody, Retention, Retry, Route, SigningSecret,
    Start,
};

use super::headers;
use super::policy::{read_breaker, read_max_retries, read_retention, read_retry, with_max_retries};
use super::section::{Reading, Section, Visibility};
use super::signing;
use super::store::mask_passwords;
use super::tree::{Node, Table, Value, overlay};

const MILLISECOND: Duration = Duration::from_millis(1);
const MINUTE: Duration = Duration::from_secs(60);

/// The destinations that deliver, and the names of those that are switched off.
#[derive(Debug, Clone, Default)]
pub struct Destinations {
    pub enabled: Vec<Destination>,
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
    let shared = read_shared(&defaults);
    defaults.refuse_unknown_keys();

    let mut is_right = true;
    let mut destinations = Destinations::default();
    for (name, node) in root.entries("destinations") {
        match read(reading, root, name, node, defaults_of(tree)) {
            Some((destination, is_enabled)) => {
                let section = format!("destinations.{name}");
                destinations.note_retention(&section, destination.retention);
                if is_enabled {
                    destinations.enabled.push(destination);
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
        return root.problem(node, "must be a table");
    };
    let mut merged = defaults;
    overlay(&mut merged, own.clone());
    let section = Section::new(reading, path.clone(), &merged, Visibility::Shown);
    if !is_destination_name(name) {
        section.problem::<()>(node, "must be named [a-z][a-z0-9_]{0,62}");
    }

    let url = read_url(&section);
    let is_enabled = read_or(&section, "enabled", true);
    let sources = if section.optional("sources").is_some() {
        section.texts("sources", "a source: [a-z][a-z0-9_-]{0,62}", is_source_name)
    } else {
        section.show("sources", Vec::<String>::new());
        Some(Vec::new())
    };
    let shared = read_shared(&section);
    let routes = read_routes(&section, &path, shared.as_ref());
    section.refuse_unknown_keys();

    let (shared, url) = (shared?, url?);
    let route = |retry| shared.route(&url, retry);
    let routes = routes?
        .into_iter()
        .map(|(model, max_retries)| (model, route(with_max_retries(shared.retry, max_retries))))
        .collect();
    let destination = Destination {
        name: name.into(),
        sources: sources?,
        start: shared.start,
        connect_timeout: shared.connect_timeout,
        response_bytes_max: shared.response_bytes_max,
        concurrency: shared.concurrency,
        parked_max: shared.parked_max,
        retention: shared.retention,
        retry_after_max: shared.retry_after_max,
        breaker_open: shared.breaker_open,
        route: route(with_max_retries(shared.retry, shared.retry.max_retries)),
        routes,
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

/// What `[defaults]` and a destination both may say.
struct Shared {
    headers: Vec<Header>,
    start: Start,
    timeout: Duration,
    connect_timeout: Duration,
    response_bytes_max: usize,
    concurrency: usize,
    parked_max: u64,
    log_body: LogBody,
    log_body_bytes_max: usize,
    mask: Vec<String>,
    retention: Retention,
    retry: Retry,
    retry_after_max: Duration,
    breaker: Breaker,
    breaker_open: BreakerOpen,
    signing: Vec<SigningSecret>,
}

impl Shared {
    fn route(&self, url: &Arc<str>, retry: Retry) -> Route {
        Route {
            url: url.clone(),
            headers: self.headers.clone(),
            timeout: self.timeout,
            log_body: self.log_body,
            log_body_bytes_max: self.log_body_bytes_max,
            mask: self.mask.clone(),
            retry,
            breaker: self.breaker,
            signing: self.signing.clone(),
        }
    }
}

fn read_shared(section: &Section<'_>) -> Option<Shared> {
    let method = section.choice("method", &[("POST", ())]);
    let headers = headers::read(section, "headers");
    let start = section.choice(
        "start",
        &[("earliest", Start::Earliest), ("latest", Start::Latest)],
    );
    let timeouts = 100 * MILLISECOND..=5 * MINUTE;
    let timeout = section.duration("timeout", timeouts.clone());
    let connect_timeout = section.duration("connect_timeout", timeouts);
    let response_bytes_max = section.size("response_max", 1 << 10..=16 << 20);
    let concurrency = section.integer("concurrency", 1..=4096);
    let parked_max = section.integer("parked_max", 1..=10_000_000);
    let log_body = section.choice(
        "log_body",
        &[
            ("none", LogBody::None),
            ("failures", LogBody::Failures),
            ("all", LogBody::All),
        ],
    );
    let log_body_bytes_max = section.size("log_body_max", 0..=16 << 20);
    let mask = section.texts("mask", "the name of an attribute", |text| !text.is_empty());
    let retention = read_retention(&section.section("retention"));
    let retry = read_retry(&section.section("retry"));
    let breaker = read_breaker(&section.section("breaker"));
    let signing = signing::read(&section.section("signing"));
    method?;
    let (retry, retry_after_max) = retry?;
    let (breaker, breaker_open) = breaker?;
    Some(Shared {
        headers: headers?,
        start: start?,
        timeout: timeout?,
        connect_timeout: connect_timeout?,
        response_bytes_max: as_usize(response_bytes_max?),
        concurrency: concurrency? as usize,
        parked_max: u64::from(parked_max?),
        log_body: log_body?,
        log_body_bytes_max: as_usize(log_body_bytes_max?),
        mask: mask?,
        retention: retention?,
        retry,
        retry_after_max,
        breaker,
        breaker_open,
        signing: signing?,
    })
}

/// Models and their own `MAX_RETRIES`.
fn read_routes(
    destination: &Section<'_>,
    path: &[String],
    shared: Option<&Shared>,
) -> Option<BTreeMap<String, u32>> {
    let mut routes = BTreeMap::new();
    let mut is_right = true;
    for (model, node) in destination.entries("routes") {
        if !is_model_name(model) {
            destination.problem::<()>(
                node,
                "must be named like a model: Vehicle, or Fleet::Car in quotes",
            );
        }
        let path = [path, &["routes".to_owned(), model.clone()]].concat();
        let Some(section) = destination.item(path, node, "a table") else {
            is_right = false;
            continue;
        };
        let retry = section.section("retry");
        let max_retries = match retry.optional("max_retries") {
            Some(_) => read_max_retries(&retry),
            None => shared.map(|shared| shared.retry.max_retries),
        };
        retry.refuse_unknown_keys();
        section.refuse_unknown_keys();
        match max_retries {
            Some(max_retries) => {
                routes.insert(model.clone(), max_retries);
            }
            None => is_right = false,
        }
    }
    is_right.then_some(routes)
}

fn as_usize(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
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

fn read_url(section: &Section<'_>) -> Option<Arc<str>> {
    let allowed = "an absolute http or https URL without credentials, placeholders or fragment";
    let node = section.required("url")?;
    let resolved = section.resolve(node, allowed)?;
    if is_url(&resolved.text) {
        section.show("url", resolved.text.clone());
        return Some(resolved.text.into());
    }
    if resolved.is_reference {
        return section.refuse(node, allowed);
    }
    let shown = mask_passwords(&resolved.text);
    section.problem(node, format!("must be {allowed}, not {shown:?}"))
}

/// Placeholders are refused because nothing fills them in yet.
fn is_url(text: &str) -> bool {
    let Ok(url) = text.parse::<hyper::Uri>() else {
        return false;
    };
    let is_http = matches!(url.scheme_str(), Some("http" | "https"));
    let has_host = url.host().is_some_and(|host| !host.is_empty());
    is_http && has_host && !text.contains(['@', '{', '}', '#'])
}
