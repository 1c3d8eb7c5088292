//! A route for tests.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::{Body, Url};
use crate::settings::{Breaker, LogBody, Method, Methods, Retry, Route, SigningSecret};
use crate::verdict::Classify;

/// Billing's route, signed with the secret of the test vector.
pub fn route() -> Route {
    Route {
        url: Url::parse("https://billing.internal/replicates_to").expect("it is a URL"),
        methods: Methods::all(Method::Post),
        body: Body::Record,
        batch: None,
        headers: Vec::new(),
        grant: None,
        credentials: Vec::new(),
        timeout: Duration::from_secs(15),
        skip_unchanged: false,
        log_body: LogBody::Failures,
        log_body_bytes_max: 64 * 1024,
        mask: Vec::new(),
        retry: Retry {
            max_retries: 12,
            in_place: 2,
            base: Duration::from_secs(1),
            factor: 3.0,
            cap: Duration::from_secs(21_600),
            jitter: 0.2,
        },
        classify: Classify::default(),
        breaker: Breaker {
            failure_ratio: 0.5,
            min_keys: 3,
            window: Duration::from_mins(1),
        },
        signing: vec![SigningSecret(
            BASE64_STANDARD
                .decode("cmVwbGljYXRlcy10by10ZXN0LXZlY3Rvci1zZWNyZXQ=")
                .expect("it is base64"),
        )],
    }
}
