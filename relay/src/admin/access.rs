//! Who may call: tokens and their roles. Without configured tokens (loopback only) everybody is an operator.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Context;
use super::answer::ApiError;
use crate::config::{Role, Token};

/// In the audit list, for calls that needed no token.
const NOBODY: &str = "anonymous";

/// Who calls, by the name of the token.
#[derive(Debug, Clone)]
pub struct Caller(pub Arc<str>);

/// Lets a request pass whose token allows it, and notes who calls.
pub async fn require_token(
    State(context): State<Arc<Context>>,
    mut request: Request,
    next: Next,
) -> Response {
    let header = request.headers().get(AUTHORIZATION);
    match caller(&context.config().admin.tokens, header, request.method()) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(refusal) => {
            let mut response = refusal.into_response();
            let challenge = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
            response
        }
    }
}

fn caller(
    tokens: &[Token],
    header: Option<&HeaderValue>,
    method: &Method,
) -> Result<Caller, ApiError> {
    if tokens.is_empty() {
        return Ok(Caller(NOBODY.into()));
    }
    let header = header.ok_or_else(|| {
        ApiError::unauthorized("a token is required: Authorization: Bearer <token>")
    })?;
    let text = header.to_str().unwrap_or_default();
    let given = match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => {
            return Err(ApiError::unauthorized(
                "the token must be given as Bearer <token>",
            ));
        }
    };
    // All are compared, so that the time taken tells nothing.
    let mut found = None;
    for token in tokens {
        if is_equal(token.token.expose().as_bytes(), given.as_bytes()) {
            found = Some(token);
        }
    }
    let token = found.ok_or_else(|| ApiError::unauthorized("the token is not known"))?;
    let needed = if *method == Method::GET || *method == Method::HEAD {
        Role::Viewer
    } else {
        Role::Operator
    };
    if token.role < needed {
        return Err(ApiError::forbidden(format!(
            "the token {:?} may only read; this needs the role operator",
            token.name
        )));
    }
    Ok(Caller(token.name.as_str().into()))
}

/// Whether two texts are the same, in a time that depends on their length alone.
fn is_equal(known: &[u8], given: &[u8]) -> bool {
    known.len() == given.len()
        && known
            .iter()
            .zip(given)
            .fold(0, |difference, (a, b)| difference | (a ^ b))
            == 0
}
