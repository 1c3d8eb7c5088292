//! `POST /deliveries/{id}/retry`: a person wants a delivery sent again.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use relay_core::names::DeliveryId;
use relay_core::time::saturating_add;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::Context;
use super::access::Caller;
use super::answer::ApiError;
use super::deliveries::{delivery_id, unknown};
use super::parameters::Parameters;
use crate::store::{KeptAnswer, RetryAnswer, RetryRequest};

/// For how long an answer is kept for the same `Idempotency-Key`.
const ANSWER_KEPT: Duration = Duration::from_secs(24 * 3_600);

const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;

pub async fn retry(
    State(context): State<Arc<Context>>,
    Extension(Caller(caller)): Extension<Caller>,
    Path(id): Path<String>,
    parameters: Parameters,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    parameters.finish()?;
    let id = delivery_id(&id)?;
    require_no_wishes(&body)?;
    let now = context.clock.now().wall;
    let request = RetryRequest {
        id,
        token_name: caller.to_string(),
        at: now,
    };
    let Some(key) = idempotency_key(&headers)? else {
        return send(&context, &request).await.map(accepted);
    };
    // The path is part of what was asked: one key must not stand for two deliveries.
    let mut sha = Sha256::new();
    sha.update(format!("retry {id}\n"));
    sha.update(&body);
    let body_hash = sha.finalize().to_vec();
    if let Some(kept) = context.store.kept_answer(&key, now).await? {
        if kept.body_hash != body_hash {
            return Err(ApiError::unprocessable(format!(
                "Idempotency-Key {key:?} was used for another request"
            )));
        }
        return Ok(accepted(kept.response));
    }
    let response = send(&context, &request).await?;
    let answer = KeptAnswer {
        body_hash,
        response: response.clone(),
    };
    context
        .store
        .keep_answer(&key, &answer, saturating_add(now, ANSWER_KEPT))
        .await?;
    Ok(accepted(response))
}

async fn send(context: &Context, request: &RetryRequest) -> Result<String, ApiError> {
    let id = request.id;
    match context.store.retry(request).await? {
        RetryAnswer::Due => {
            tracing::info!(delivery = %id, token = request.token_name, "retry asked for");
            Ok(due(id))
        }
        RetryAnswer::NotFound => Err(unknown(id)),
        RetryAnswer::InFlight => Err(ApiError::conflict(format!(
            "{id} is still in its first tries: it will be delivered or parked by itself"
        ))),
        RetryAnswer::AlreadyFinal(outcome) => Err(ApiError::conflict(format!(
            "{id} is {}: nothing is left to send",
            outcome.as_str()
        ))),
    }
}

fn due(id: DeliveryId) -> String {
    json!({ "id": id.to_string(), "state": "parked", "reason": "manual" }).to_string()
}

fn accepted(response: String) -> Response {
    let content_type = [(header::CONTENT_TYPE, "application/json")];
    (StatusCode::ACCEPTED, content_type, response).into_response()
}

/// A retry has no parameters of its own: what somebody wrote there would be ignored.
fn require_no_wishes(body: &[u8]) -> Result<(), ApiError> {
    let is_empty = body.is_empty()
        || serde_json::from_slice::<serde_json::Map<_, serde_json::Value>>(body)
            .is_ok_and(|object| object.is_empty());
    if is_empty {
        Ok(())
    } else {
        Err(ApiError::invalid(vec![
            "a retry takes no body, or {}".to_owned(),
        ]))
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    match value.to_str() {
        Ok(key) if (1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&key.len()) => Ok(Some(key.to_owned())),
        _ => Err(ApiError::invalid(vec![format!(
            "Idempotency-Key must be 1-{IDEMPOTENCY_KEY_BYTES_MAX} printable ASCII characters"
        )])),
    }
}
