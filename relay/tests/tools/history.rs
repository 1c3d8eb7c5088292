//! What counts as a violation of order.

use std::collections::HashMap;
use std::time::Duration;

use relay_test_support::history::{Exchange, acknowledged_versions, order_violations, overlaps};
use relay_test_support::stub_server::Request;

/// A request of key 7: version, status, when it arrived, when it was answered.
fn exchange(version: u64, status: u16, arrived: u64, answered: u64) -> Exchange {
    let headers = [
        ("replicates-to-key", "7".to_owned()),
        ("replicates-to-version", version.to_string()),
    ];
    Exchange {
        request: Request {
            method: "POST".into(),
            path: "/".into(),
            headers: headers
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
            body: Vec::new(),
            received_at: tokio::time::Instant::now().into_std() + Duration::from_secs(arrived),
            attempt: 1,
        },
        status: (answered > 0).then_some(status),
        said: Vec::new(),
        arrived,
        answered: (answered > 0).then_some(answered),
        answered_at: None,
    }
}

#[test]
fn an_older_version_after_a_newer_acknowledged_one_violates_the_order() {
    let history = [exchange(2, 200, 1, 2), exchange(1, 200, 3, 4)];
    assert_eq!(order_violations(&history), ["//7 version 1, request 3"]);
}

#[test]
fn an_older_version_after_a_newer_refused_one_does_not() {
    assert!(order_violations(&[exchange(2, 500, 1, 2), exchange(1, 200, 3, 4)]).is_empty());
}

#[test]
fn the_same_version_again_does_not() {
    assert!(order_violations(&[exchange(2, 200, 1, 2), exchange(2, 200, 3, 4)]).is_empty());
}

#[test]
fn a_request_before_the_answer_to_another_overlaps() {
    assert_eq!(
        overlaps(&[exchange(1, 200, 1, 3), exchange(2, 200, 2, 4)]).len(),
        1
    );
    assert_eq!(
        overlaps(&[exchange(1, 0, 1, 0), exchange(2, 200, 2, 4)]).len(),
        1
    );
    assert!(overlaps(&[exchange(1, 200, 1, 2), exchange(2, 200, 3, 4)]).is_empty());
}

#[test]
fn the_highest_acknowledged_version_counts() {
    let history = [
        exchange(2, 200, 1, 2),
        exchange(1, 200, 3, 4),
        exchange(3, 500, 5, 6),
    ];
    assert_eq!(
        acknowledged_versions(&history),
        HashMap::from([("//7".to_owned(), 2)])
    );
}
