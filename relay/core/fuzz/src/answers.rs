//! An answer: whatever a consumer says has one meaning for each record that was asked about.

use std::time::Duration;

use relay_core::exchange::{Answer, End, Exchange, Timings};
use relay_core::mask::{Ending, Mask};
use relay_core::names::{DeliveryId, KeyHash, Operation};
use relay_core::settings::Method;
use relay_core::time::Timestamp;
use relay_core::verdict::{self, Class, Classify, Question, Shape, Verdict};

/// The most that a `Retry-After` may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// A delivery that the corpus speaks of, and one that it does not.
const ASKED: [DeliveryId; 2] = [
    DeliveryId {
        key_hash: KeyHash([0xab; 16]),
        version: 7,
    },
    DeliveryId {
        key_hash: KeyHash([0xcd; 16]),
        version: 9,
    },
];

/// The first line is the status, the second a `Retry-After`, the rest is the body.
pub fn feed(input: &[u8]) {
    let mut parts = input.splitn(3, |byte| *byte == b'\n');
    let mut part = || parts.next().unwrap_or_default();
    let status = String::from_utf8_lossy(part())
        .trim()
        .parse()
        .unwrap_or(200);
    let retry_after = String::from_utf8_lossy(part()).into_owned();
    let body = part().to_vec();
    for is_truncated in [false, true] {
        let exchange = Exchange {
            end: End::Answered(Answer {
                status,
                headers: vec![("retry-after".to_owned(), retry_after.clone())],
                body: body.clone(),
                is_truncated,
            }),
            timings: Timings::default(),
        };
        check(&exchange, status);
    }
    let mut mask = Mask::default();
    mask.add_text("swordfish");
    let masked = mask.body(&body, Ending::CutOff);
    let shows = masked.windows(9).any(|window| window == b"swordfish");
    assert!(
        !shows,
        "a secret is shown: {}",
        String::from_utf8_lossy(&masked)
    );
}

fn check(exchange: &Exchange, status: u16) {
    let wait = verdict::retry_after(exchange, Timestamp::UNIX_EPOCH, RETRY_AFTER_MAX);
    assert!(wait.is_none_or(|wait| wait <= RETRY_AFTER_MAX));
    for operation in [Operation::Update, Operation::Delete] {
        let questions = ASKED.map(|id| Question {
            id,
            operation,
            method: Method::Post,
            names_key: operation == Operation::Delete,
        });
        for (count, shape) in [(1, Shape::Single), (1, Shape::Batch), (2, Shape::Batch)] {
            let asked = &questions[..count];
            let verdicts = verdict::judge(exchange, asked, shape, &Classify::default());
            assert_eq!(verdicts.len(), asked.len());
            for verdict in &verdicts {
                assert_eq!(verdict.status, Some(status));
                assert!(
                    is_sound(verdict, status, operation, count > 1),
                    "{status}: {verdict:?}"
                );
            }
        }
    }
}

/// Only a success acknowledges, or the absence of what was to be deleted; every failure says why.
fn is_sound(verdict: &Verdict, status: u16, operation: Operation, are_several: bool) -> bool {
    let is_success = (200..300).contains(&status);
    match verdict.class {
        Class::Delivered => {
            is_success || operation == Operation::Delete && matches!(status, 404 | 410)
        }
        Class::Stale { version } => {
            (is_success || status == 409) && version.is_none_or(|version| version > 0)
        }
        Class::Reject | Class::Retry | Class::Endpoint | Class::Suspect => {
            verdict.error_class.is_some() && verdict.error.is_some()
        }
        // Each of several finds out by itself.
        Class::Divide(_) => are_several,
    }
}
