//! Writes that carry an `Idempotency-Key` are done once, however often they arrive.

use std::panic;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use relay_core::time::{Timestamp, saturating_add};
use sha2::{Digest, Sha256};

use super::Context;
use super::answer::ApiError;
use crate::store::{Claim, StoreError};

/// For how long an answer is kept for the same key.
const ANSWER_KEPT: Duration = Duration::from_secs(24 * 3_600);

/// For how long a key is claimed: longer than any write takes. When the relay dies over one, nobody knows whether it was done, and
/// whoever asks after that has it done.
const CLAIM_KEPT: Duration = Duration::from_secs(120);

/// How long a request waits for another that has its key, and how often it looks.
const WAIT_MAX: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(50);

const KEY_BYTES_MAX: usize = 255;

/// Answers a write with the JSON that it leads to, or with what the same write led to before.
///
/// `asked` is what was asked for, the path included: one key must not stand for two deliveries.
pub async fn answer(
    context: &Arc<Context>,
    headers: &HeaderMap,
    (asked, body): (&str, &[u8]),
    status: StatusCode,
    write: impl Future<Output = Result<String, ApiError>> + Send + 'static,
) -> Result<Response, ApiError> {
    let Some(key) = idempotency_key(headers)? else {
        return write.await.map(|response| of(status, response));
    };
    let mut sha = Sha256::new();
    sha.update(format!("{asked}\n"));
    sha.update(body);
    let body_hash = sha.finalize().to_vec();
    // A client that goes away takes its handler with it, which would leave the key claimed.
    let whole = tokio::spawn(once(context.clone(), key, body_hash, write));
    let answer = whole.await.unwrap_or_else(|error| {
        Err(match error.try_into_panic() {
            Ok(panicked) => panic::resume_unwind(panicked),
            Err(_) => ApiError::unavailable("the relay is ending".to_owned()),
        })
    });
    answer.map(|response| of(status, response))
}

async fn once(
    context: Arc<Context>,
    key: String,
    body_hash: Vec<u8>,
    write: impl Future<Output = Result<String, ApiError>>,
) -> Result<String, ApiError> {
    let claimed_until = match claim(&context, &key, &body_hash).await? {
        Key::Claimed { until } => until,
        Key::Answered(kept) => return Ok(kept),
    };
    let answer = write.await;
    let settled = settle(&context, &key, claimed_until, answer.as_ref().ok()).await;
    // What became of the write is what was asked for.
    if let Err(error) = settled {
        tracing::warn!(%error, key, "an Idempotency-Key stays claimed for a while after its write has ended");
    }
    answer
}

enum Key {
    /// The write is to be done now, and nobody else will do it until then.
    Claimed { until: Timestamp },
    /// What the same write was answered.
    Answered(String),
}

async fn claim(context: &Context, key: &str, body_hash: &[u8]) -> Result<Key, ApiError> {
    let started = context.clock.now().monotonic;
    loop {
        let now = context.clock.now();
        let until = saturating_add(now.wall, CLAIM_KEPT);
        let claim = context.store.claim_key(key, body_hash, now.wall, until);
        match claim.await? {
            Claim::Ours => return Ok(Key::Claimed { until }),
            Claim::Theirs {
                body_hash: other, ..
            } if other != body_hash => {
                return Err(ApiError::unprocessable(format!(
                    "Idempotency-Key {key:?} was used for another request"
                )));
            }
            Claim::Theirs {
                response: Some(kept),
                ..
            } => return Ok(Key::Answered(kept)),
            // Between two looks: one that is broken off may have claimed the key.
            Claim::Theirs { response: None, .. }
                if now.monotonic.saturating_sub(started) >= WAIT_MAX =>
            {
                return Err(under_way(key));
            }
            Claim::Theirs { response: None, .. } => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}

/// The answer is kept for those who ask again. A write that failed may be tried again.
async fn settle(
    context: &Context,
    key: &str,
    claimed_until: Timestamp,
    answer: Option<&String>,
) -> Result<(), StoreError> {
    let Some(response) = answer else {
        return context.store.give_up_key(key, claimed_until).await;
    };
    let expires_at = saturating_add(context.clock.now().wall, ANSWER_KEPT);
    let keeping = context
        .store
        .keep_answer(key, claimed_until, response, expires_at);
    keeping.await
}

fn under_way(key: &str) -> ApiError {
    ApiError::conflict(format!(
        "the request with Idempotency-Key {key:?} is still being answered: ask again"
    ))
}

fn of(status: StatusCode, response: String) -> Response {
    let content_type = [(header::CONTENT_TYPE, "application/json")];
    (status, content_type, response).into_response()
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    match value.to_str() {
        Ok(key) if (1..=KEY_BYTES_MAX).contains(&key.len()) => Ok(Some(key.to_owned())),
        _ => Err(ApiError::invalid(vec![format!(
            "Idempotency-Key must be 1-{KEY_BYTES_MAX} printable ASCII characters"
        )])),
    }
}
