//! Writes that carry an `Idempotency-Key` are done once, however often they arrive.

use std::time::Duration;

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use relay_core::time::saturating_add;
use sha2::{Digest, Sha256};

use super::Context;
use super::answer::ApiError;
use crate::store::Claim;

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
pub async fn answer<F>(
    context: &Context,
    headers: &HeaderMap,
    (asked, body): (&str, &[u8]),
    status: StatusCode,
    write: impl FnOnce() -> F,
) -> Result<Response, ApiError>
where
    F: Future<Output = Result<String, ApiError>>,
{
    let Some(key) = idempotency_key(headers)? else {
        return write().await.map(|response| of(status, response));
    };
    let mut sha = Sha256::new();
    sha.update(format!("{asked}\n"));
    sha.update(body);
    let body_hash = sha.finalize().to_vec();
    let claiming = claim(context, &key, &body_hash);
    let claimed = tokio::time::timeout(WAIT_MAX, claiming).await;
    if let Some(kept) = claimed.unwrap_or_else(|_| Err(under_way(&key)))? {
        return Ok(of(status, kept));
    }
    let answer = write().await;
    settle(context, &key, answer.as_ref().ok()).await?;
    answer.map(|response| of(status, response))
}

/// What the same write was answered; none when it is to be done now, and nobody else will do it.
async fn claim(context: &Context, key: &str, body_hash: &[u8]) -> Result<Option<String>, ApiError> {
    loop {
        let now = context.clock.now().wall;
        let until = saturating_add(now, CLAIM_KEPT);
        let claim = context.store.claim_key(key, body_hash, now, until);
        match claim.await? {
            Claim::Ours => return Ok(None),
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
            } => return Ok(Some(kept)),
            Claim::Theirs { response: None, .. } => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}

/// The answer is kept for those who ask again. A write that failed may be tried again.
async fn settle(context: &Context, key: &str, answer: Option<&String>) -> Result<(), ApiError> {
    let settled = match answer {
        Some(response) => {
            let expires_at = saturating_add(context.clock.now().wall, ANSWER_KEPT);
            context.store.keep_answer(key, response, expires_at).await
        }
        None => context.store.give_up_key(key).await,
    };
    Ok(settled?)
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
