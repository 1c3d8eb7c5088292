//! `GET /config` and `POST /config/reload`: what holds, secrets masked, and having it read again.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::access::Caller;
use super::answer::ApiError;
use super::parameters::Parameters;
use super::{Context, once};
use crate::reload::Refusal;
use crate::store::Audit;

pub async fn show(
    State(context): State<Arc<Context>>,
    parameters: Parameters,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    parameters.finish()?;
    let config = context.config();
    let etag = format!("\"{}\"", config.revision());
    let known = headers.get(header::IF_NONE_MATCH);
    if known.is_some_and(|known| known.as_bytes() == etag.as_bytes()) {
        return Ok(tagged(&etag, StatusCode::NOT_MODIFIED.into_response()));
    }
    let answer = Json(config.effective().clone()).into_response();
    Ok(tagged(&etag, answer))
}

fn tagged(etag: &str, mut response: Response) -> Response {
    if let Ok(value) = HeaderValue::from_str(etag) {
        response.headers_mut().insert(header::ETAG, value);
    }
    response
}

pub async fn reload(
    State(context): State<Arc<Context>>,
    Extension(Caller(caller)): Extension<Caller>,
    parameters: Parameters,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    parameters.finish()?;
    let is_empty =
        serde_json::from_slice::<Map<String, Value>>(&body).is_ok_and(|body| body.is_empty());
    if !body.is_empty() && !is_empty {
        return Err(ApiError::invalid(vec![
            "a reload has no body: the relay reads its own file".to_owned(),
        ]));
    }
    let asked = ("reload", &*body);
    once::answer(
        &context,
        &headers,
        asked,
        StatusCode::OK,
        read(context.clone(), caller),
    )
    .await
}

async fn read(context: Arc<Context>, caller: Arc<str>) -> Result<String, ApiError> {
    let answer = context.reload.ask().await;
    let (detail, answer) = match answer {
        Ok(revision) => {
            let answer = json!({ "revision": revision }).to_string();
            (format!("revision {revision}"), Ok(answer))
        }
        Err(Refusal::Ending) => {
            return Err(ApiError::unavailable(Refusal::Ending.to_string()));
        }
        Err(refusal) => {
            let problems = refusal.problems();
            let plural = if problems.len() == 1 { "" } else { "s" };
            let detail = format!("refused: {} problem{plural}", problems.len());
            (detail, Err(ApiError::refused(problems)))
        }
    };
    let audit = Audit {
        at: context.clock.now().wall,
        token_name: caller.to_string(),
        action: "reload",
        target: "config".to_owned(),
        detail: Some(detail),
    };
    context.store.note(&audit).await?;
    answer
}
