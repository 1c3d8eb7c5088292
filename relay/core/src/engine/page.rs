//! What came of a request, delivery by delivery: its verdict, and what the log keeps of it.

use super::breaker::Sign;
use super::delivery::Delivery;
use super::dispatch::outgoing;
use crate::exchange::{Exchange, HttpRequest};
use crate::request::Sheet;
use crate::rows::{ExchangeRow, Outcome};
use crate::settings::Route;
use crate::verdict::{Class, Verdict};

/// What came of one delivery of a request.
pub(super) struct Page {
    /// Its error masked.
    pub verdict: Verdict,
    pub row: ExchangeRow,
}

/// In the order of the deliveries.
pub(super) fn pages(
    route: &Route,
    deliveries: &[Delivery],
    verdicts: Vec<Verdict>,
    http: &HttpRequest,
    exchange: &Exchange,
) -> Vec<Page> {
    let outgoing: Vec<_> = deliveries.iter().map(outgoing).collect();
    let sheet = Sheet::new(route, &outgoing, http, exchange);
    let page = |(position, verdict): (usize, Verdict)| Page {
        row: sheet.row(position, outcome_of(verdict.class)),
        verdict: Verdict {
            error: verdict.error.map(|error| sheet.error(&error)),
            ..verdict
        },
    };
    verdicts.into_iter().enumerate().map(page).collect()
}

/// As the log calls it.
pub(super) fn outcome_of(class: Class) -> Outcome {
    match class {
        Class::Delivered => Outcome::Delivered,
        Class::Stale { .. } => Outcome::Stale,
        Class::Reject => Outcome::Rejected,
        Class::Retry | Class::Suspect | Class::Endpoint | Class::Divide(_) => Outcome::Retryable,
    }
}

/// What it says of the endpoint.
pub(super) fn sign_of(verdict: &Verdict) -> Sign {
    match verdict.class {
        _ if verdict.opens_breaker_at_once() => Sign::Unreachable,
        Class::Endpoint => Sign::Failing,
        Class::Suspect => Sign::Unclear,
        Class::Delivered
        | Class::Stale { .. }
        | Class::Reject
        | Class::Retry
        | Class::Divide(_) => Sign::Alive,
    }
}
