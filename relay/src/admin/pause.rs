//! `POST /destinations/{name}/pause` and `/resume`: an operator stops a destination, and has it go on. All replicas
//! look for that every second.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::access::Caller;
use super::answer::ApiError;
use super::parameters::Parameters;
use super::{Context, destinations, once};
use crate::store::{PauseRequest, Wish};

/// Letters of a reason: it is shown in one line.
const REASON_CHARS_MAX: usize = 200;

pub async fn pause(
    state: State<Arc<Context>>,
    caller: Extension<Caller>,
    name: Path<String>,
    parameters: Parameters,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let Some(reason) = reason(&body)? else {
        return Err(ApiError::invalid(vec![
            "a pause needs a reason: {\"reason\":\"…\"}".to_owned(),
        ]));
    };
    let wish = Wish::Pause { reason };
    change(state, caller, name, parameters, (headers, body), wish).await
}

pub async fn resume(
    state: State<Arc<Context>>,
    caller: Extension<Caller>,
    name: Path<String>,
    parameters: Parameters,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let wish = Wish::Resume {
        reason: reason(&body)?,
    };
    change(state, caller, name, parameters, (headers, body), wish).await
}

async fn change(
    State(context): State<Arc<Context>>,
    Extension(Caller(caller)): Extension<Caller>,
    Path(name): Path<String>,
    parameters: Parameters,
    (headers, body): (HeaderMap, Bytes),
    wish: Wish,
) -> Result<Response, ApiError> {
    parameters.finish()?;
    destinations::require(&context, &name).await?;
    let asked = format!("{} {name}", wish.action());
    let request = PauseRequest {
        destination: name,
        wish,
        token_name: caller.to_string(),
        at: context.clock.now().wall,
    };
    once::answer(
        &context,
        &headers,
        (&asked, &body),
        StatusCode::OK,
        set(context.clone(), request),
    )
    .await
}

async fn set(context: Arc<Context>, request: PauseRequest) -> Result<String, ApiError> {
    context.store.set_pause(&request).await?;
    let PauseRequest {
        destination,
        wish,
        token_name,
        ..
    } = &request;
    tracing::info!(
        %destination,
        token = token_name,
        reason = wish.reason(),
        "{} asked for",
        wish.action()
    );
    let is_paused = matches!(wish, Wish::Pause { .. });
    Ok(json!({ "name": destination, "paused": is_paused, "reason": wish.reason() }).to_string())
}

/// What the body says: nothing, or an object with a reason and nothing else.
fn reason(body: &[u8]) -> Result<Option<String>, ApiError> {
    let refused = |problem: &str| Err(ApiError::invalid(vec![problem.to_owned()]));
    if body.is_empty() {
        return Ok(None);
    }
    let Ok(mut object) = serde_json::from_slice::<Map<String, Value>>(body) else {
        return refused("the body must be a JSON object: {\"reason\":\"…\"}");
    };
    let reason = object.remove("reason");
    if let Some((unknown, _)) = object.iter().next() {
        return refused(&format!(
            "unknown key {unknown:?}: only reason is understood"
        ));
    }
    match reason {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => {
            let text = text.trim();
            let is_line = !text.is_empty() && !text.contains(char::is_control);
            if is_line && text.chars().count() <= REASON_CHARS_MAX {
                Ok(Some(text.to_owned()))
            } else {
                refused(&format!(
                    "reason must be one line of 1-{REASON_CHARS_MAX} characters"
                ))
            }
        }
        Some(_) => refused("reason must be a text"),
    }
}
