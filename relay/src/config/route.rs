//! What a route may say for itself, a destination for all its routes, and `[defaults]` for all destinations.

use std::time::Duration;

use relay_core::request::Url;
use relay_core::settings::{LogBody, Route};

use super::policy::{read_breaker, read_retry};
use super::section::Section;
use super::{auth, batch, body, classify, headers, method, signing};

/// How long any wait for an endpoint may be told to last.
pub(super) const TIMEOUT_LIMITS: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(300);

/// Reads the keys of a route, those of its `retry` and `breaker` through the sections given. Without a URL there is no
/// route: then only what is wrong is told.
pub(super) fn read(
    section: &Section<'_>,
    retry: &Section<'_>,
    breaker: &Section<'_>,
    url: Option<Url>,
) -> Option<Route> {
    let methods = method::read(section);
    let body = body::read(section);
    let batch = batch::read(section, body.as_ref(), url.as_ref());
    let headers = headers::read(section, "headers");
    let auth = auth::read(section, headers.as_deref());
    let timeout = section.duration("timeout", TIMEOUT_LIMITS);
    let skip_unchanged = section.flag("skip_unchanged");
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
    let classify = classify::read(retry);
    let retry = read_retry(retry);
    let breaker = read_breaker(breaker);
    let signing = signing::read(&section.section("signing"));
    let (mut headers, auth) = (headers?, auth?);
    headers.extend(auth.header);
    Some(Route {
        url: url?,
        methods: methods?,
        body: body?,
        // A batch of one is none.
        batch: Some(batch?).filter(|batch| batch.records_max > 1),
        headers,
        grant: auth.grant,
        credentials: auth.credentials,
        timeout: timeout?,
        skip_unchanged: skip_unchanged?,
        log_body: log_body?,
        log_body_bytes_max: usize::try_from(log_body_bytes_max?).unwrap_or(usize::MAX),
        mask: mask?,
        retry: retry?,
        classify: classify?,
        breaker: breaker?,
        signing: signing?,
    })
}
