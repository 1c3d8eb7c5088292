//! Tokens of an authorization server, for client credentials (RFC 6749, section 4.4): how one is asked for, and what the
//! answer says.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use crate::exchange::{Answer, HttpRequest};
use crate::request::percent;
use crate::settings::{Header, Method};

/// Why a token may be asked for, and of whom.
#[derive(Clone, PartialEq, Eq)]
pub struct Grant {
    /// Absolute, `http` or `https`.
    pub token_url: Arc<str>,
    pub client_id: String,
    pub client_secret: String,
    pub scopes: Vec<String>,
    pub audience: Option<String>,
}

/// A token, which whoever has it may use. Shown as `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Arc<str>);

/// What an authorization server hands out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    pub token: Token,
    /// How long it may be used; none where that was not said.
    pub life: Option<Duration>,
}

/// Why an answer holds no token that can be used. Never quotes what may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoToken {
    #[error("answered {status}{}", code.as_ref().map(|code| format!(": {code}")).unwrap_or_default())]
    Refused { status: u16, code: Option<String> },
    #[error("answered more than is read")]
    TooLong,
    #[error("answered without an access_token that a header can carry")]
    Missing,
    #[error("answered with a token that is not a bearer token")]
    OfAnotherType,
}

/// The longest error code that is repeated.
const CODE_BYTES_MAX: usize = 64;

/// Longer lives count as this: nobody knows what a year will bring.
const LIFE_MAX: Duration = Duration::from_secs(30 * 86_400);

impl Grant {
    /// The request for a token.
    pub fn request(&self, user_agent: &str, timeout: Duration) -> HttpRequest {
        // RFC 6749, section 2.3.1: both are encoded like a form before they become user and password.
        let (id, secret) = (
            percent::encode(&self.client_id),
            percent::encode(&self.client_secret),
        );
        let authorization = Header {
            name: "authorization".into(),
            value: format!("Basic {}", BASE64_STANDARD.encode(format!("{id}:{secret}"))),
            is_secret: true,
        };
        HttpRequest {
            method: Method::Post,
            url: self.token_url.clone(),
            headers: vec![
                ("accept", "application/json".into()),
                ("content-type", "application/x-www-form-urlencoded".into()),
                ("user-agent", user_agent.into()),
            ],
            configured_headers: [authorization].into(),
            grant: None,
            token: None,
            body: self.form().into_bytes(),
            batch_id: None,
            timeout,
        }
    }

    fn form(&self) -> String {
        let mut form = "grant_type=client_credentials".to_owned();
        let mut add = |name: &str, value: &str| {
            form.extend(["&", name, "="]);
            percent::push(&mut form, value);
        };
        if !self.scopes.is_empty() {
            add("scope", &self.scopes.join(" "));
        }
        if let Some(audience) = &self.audience {
            add("audience", audience);
        }
        form
    }
}

impl Issued {
    /// Reads the answer to a request for a token.
    ///
    /// # Errors
    ///
    /// When it holds none that can be used.
    pub fn read(answer: &Answer) -> Result<Self, NoToken> {
        let body = serde_json::from_slice::<Value>(&answer.body).unwrap_or_default();
        if !(200..=299).contains(&answer.status) {
            return Err(NoToken::Refused {
                status: answer.status,
                code: body["error"]
                    .as_str()
                    .filter(|code| is_code(code))
                    .map(Into::into),
            });
        }
        if answer.is_truncated {
            return Err(NoToken::TooLong);
        }
        let token = body["access_token"]
            .as_str()
            .filter(|token| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()));
        let token = token.ok_or(NoToken::Missing)?;
        // Some servers leave out what the standard requires.
        let kind = body["token_type"].as_str().unwrap_or("bearer");
        if !kind.eq_ignore_ascii_case("bearer") {
            return Err(NoToken::OfAnotherType);
        }
        Ok(Self {
            token: Token(token.into()),
            life: life(&body["expires_in"]),
        })
    }
}

/// Seconds; some servers write them as a text.
fn life(expires_in: &Value) -> Option<Duration> {
    let seconds = match expires_in {
        Value::String(text) => text.parse().ok(),
        other => other.as_f64(),
    };
    let seconds = seconds.filter(|seconds: &f64| !seconds.is_nan())?.max(0.0);
    let life = Duration::try_from_secs_f64(seconds).unwrap_or(LIFE_MAX);
    Some(life.min(LIFE_MAX))
}

/// What the standard lets an error be, as far as a person may want to read it.
fn is_code(code: &str) -> bool {
    (1..=CODE_BYTES_MAX).contains(&code.len())
        && code
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
}

impl Token {
    /// The token itself, for the request that carries it and the mask that hides it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant")
            .field("token_url", &self.token_url)
            .field("client_id", &self.client_id)
            .field("client_secret", &"***")
            .field("scopes", &self.scopes)
            .field("audience", &self.audience)
            .finish()
    }
}

#[cfg(test)]
mod tests;
