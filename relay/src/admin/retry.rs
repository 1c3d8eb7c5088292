//! `POST /deliveries/{id}/retry`: a person wants a delivery sent again.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use relay_core::names::DeliveryId;
use serde_json::json;

use super::access::Caller;
use super::answer::ApiError;
use super::deliveries::{delivery_id, unknown};
use super::parameters::Parameters;
use super::{Context, once};
use crate::store::{RetryAnswer, RetryRequest};

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
    let request = RetryRequest {
        id,
        token_name: caller.to_string(),
        at: context.clock.now().wall,
    };
    let asked = format!("retry {id}");
    once::answer(
        &context,
        &headers,
        (&asked, &body),
        StatusCode::ACCEPTED,
        send(context.clone(), request),
    )
    .await
}

async fn send(context: Arc<Context>, request: RetryRequest) -> Result<String, ApiError> {
    let id = request.id;
    match context.store.retry(&request).await? {
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
