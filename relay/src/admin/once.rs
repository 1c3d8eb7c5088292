//! Writes that carry an `Idempotency-Key` are done once, however often they arrive.

use std::time::Duration;

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use relay_core::time::saturating_add;
use sha2::{Digest, Sha256};

use super::Context;
use super::answer::ApiError;
use crate::store::KeptAnswer;

/// For how long an answer is kept for the same key.
const ANSWER_KEPT: Duration = Duration::from_secs(24 * 3_600);

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
    let now = context.clock.now().wall;
    if let Some(kept) = context.store.kept_answer(&key, now).await? {
        if kept.body_hash != body_hash {
            return Err(ApiError::unprocessable(format!(
                "Idempotency-Key {key:?} was used for another request"
            )));
        }
        return Ok(of(status, kept.response));
    }
    let response = write().await?;
    let answer = KeptAnswer {
        body_hash,
        response: response.clone(),
    };
    context
        .store
        .keep_answer(&key, &answer, saturating_add(now, ANSWER_KEPT))
        .await?;
    Ok(of(status, response))
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
