//! How the replicas of a world are configured.

use std::collections::BTreeMap;
use std::time::Duration;

use relay_core::egress::Egress;
use relay_core::engine::Limits;
use relay_core::engine::journal::FlushLimits;
use relay_core::request::{Body, Url};
use relay_core::settings::{
    Batching, Breaker, BreakerOpen, Destination, LogBody, Method, Methods, Retention, Retry, Route,
    Start, Tls,
};
use relay_core::verdict::Classify;

use super::rules::Knobs;

/// Distinct failing keys that open a breaker: more than a seed has poison keys.
pub const MIN_KEYS: usize = 3;
pub const WINDOW: Duration = Duration::from_secs(60);
pub const TIMEOUT: Duration = Duration::from_secs(5);
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);
pub const FLUSH_ROWS: usize = 4;

pub fn limits(knobs: &Knobs) -> Limits {
    Limits {
        flush: FlushLimits {
            rows: FLUSH_ROWS,
            interval: Duration::from_millis(100),
        },
        commit_interval: Duration::from_millis(200),
        buffer_bytes_max: knobs.buffer_bytes_max,
        user_agent: "replicates-relay/test".into(),
        topic_prefix: "replicates_to.".into(),
    }
}

pub fn destination(knobs: &Knobs) -> Destination {
    let route = Route {
        url: Url::parse("http://127.0.0.1:1/").unwrap(),
        methods: Methods::all(Method::Post),
        body: Body::Record,
        batch: knobs.batch.map(|batch| Batching {
            records_max: batch.records,
            wait_max: Duration::from_millis(50),
            bytes_max: batch.bytes,
        }),
        headers: vec![],
        grant: None,
        credentials: vec![],
        timeout: TIMEOUT,
        skip_unchanged: knobs.skip_unchanged,
        log_body: LogBody::None,
        log_body_bytes_max: 1024,
        mask: vec![],
        retry: Retry {
            max_retries: knobs.max_retries,
            in_place: knobs.in_place,
            base: Duration::from_secs(1),
            factor: 3.0,
            cap: Duration::from_secs(60),
            jitter: 0.2,
        },
        classify: Classify::default(),
        breaker: Breaker {
            failure_ratio: 0.5,
            min_keys: MIN_KEYS,
            window: WINDOW,
        },
        signing: vec![],
    };
    Destination {
        name: "billing".into(),
        sources: vec![],
        start: Start::Earliest,
        connect_timeout: Duration::from_secs(2),
        response_bytes_max: 1024,
        egress: Egress::default(),
        tls: Tls::default(),
        concurrency: knobs.concurrency,
        is_adaptive: knobs.is_adaptive,
        rate_limit: knobs.rate_limit,
        parked_max: knobs.parked_max,
        lag_target: Duration::from_secs(60),
        retention: Retention {
            success: Duration::from_secs(3600),
            failure: Duration::from_secs(7200),
        },
        retry_after_max: RETRY_AFTER_MAX,
        breaker_open: BreakerOpen {
            base: Duration::from_secs(5),
            cap: Duration::from_secs(20),
        },
        route,
        routes: BTreeMap::new(),
    }
}
