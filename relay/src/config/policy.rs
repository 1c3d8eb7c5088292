//! `retention`, `retry` and `breaker`: how long, how often, and when not.

use std::time::Duration;

use relay_core::settings::{Breaker, BreakerOpen, Retention, Retry};

use super::quantity::format_duration;
use super::section::Section;

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

pub(super) fn read_retention(section: &Section<'_>) -> Option<Retention> {
    let limits = MINUTE..=3650 * DAY;
    let success = section.duration("success", limits.clone());
    let failure = section.duration("failure", limits);
    section.refuse_unknown_keys();
    Some(Retention {
        success: success?,
        failure: failure?,
    })
}

/// How often and how long `retry` tries again.
pub(super) fn read_retry(section: &Section<'_>) -> Option<Retry> {
    let max_retries = section.integer("max_retries", 0..=100);
    let in_place = section.integer("in_place", 0..=5);
    let delays = 10 * MILLISECOND..=30 * DAY;
    let base = section.duration("base", delays.clone());
    let factor = section.number("factor", 1.0..=10.0);
    let cap = section.duration("cap", delays);
    let jitter = section.number("jitter", 0.0..=1.0);
    let (base, cap, max_retries) = (base?, cap?, max_retries?);
    refuse_if_below(section, ("cap", cap), ("base", base));
    Some(Retry {
        max_retries,
        in_place: in_place?.min(max_retries),
        base,
        factor: factor?,
        cap,
        jitter: jitter?,
    })
}

/// The most that a `Retry-After` may ask for.
pub(super) fn read_retry_after_max(section: &Section<'_>) -> Option<Duration> {
    section.duration("retry_after_max", SECOND..=7 * DAY)
}

/// When a route's breaker opens.
pub(super) fn read_breaker(section: &Section<'_>) -> Option<Breaker> {
    let failure_ratio = section.number("failure_ratio", 0.0..=1.0);
    let min_keys = section.integer("min_keys", 1..=1_000);
    let window = section.duration("window", SECOND..=60 * MINUTE);
    Some(Breaker {
        failure_ratio: failure_ratio?,
        min_keys: min_keys? as usize,
        window: window?,
    })
}

/// For how long the breakers of a destination stay open.
pub(super) fn read_breaker_open(section: &Section<'_>) -> Option<BreakerOpen> {
    let limits = 10 * MILLISECOND..=DAY;
    let base = section.duration("open_base", limits.clone());
    let cap = section.duration("open_cap", limits);
    let (base, cap) = (base?, cap?);
    refuse_if_below(section, ("open_cap", cap), ("open_base", base));
    Some(BreakerOpen { base, cap })
}

fn refuse_if_below(
    section: &Section<'_>,
    (high_key, high): (&'static str, Duration),
    (low_key, low): (&'static str, Duration),
) {
    if high < low
        && let (Some(high_node), Some(low_node)) =
            (section.optional(high_key), section.optional(low_key))
    {
        let (path, low) = (&low_node.path, format_duration(low));
        section.refuse::<()>(high_node, &format!("at least {path} ({low})"));
    }
}
