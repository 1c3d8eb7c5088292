//! Asking a running relay's admin API.

use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use relay_core::time::{Timestamp, rfc3339};
use serde_json::Value;
use tokio::time::timeout;

use super::arguments::RelayArguments;
use super::failure::Failure;
use crate::clock::Clock;
use crate::config::parse_duration;
use crate::http::Reaches;
use crate::http::dial::{Protocols, dial};
use crate::http::target::Target;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// For the whole answer: the store may be slow, and a person is waiting.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// A page of attempts with bodies: 200 of them at 128 KiB, and room.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Names and values of a query.
pub type Query = Vec<(&'static str, String)>;

/// The admin API of one relay.
pub struct Client<'a> {
    relay: &'a RelayArguments,
}

impl<'a> Client<'a> {
    pub fn new(relay: &'a RelayArguments) -> Self {
        Self { relay }
    }

    /// What is at a path below `/api/v1`.
    pub fn read(&self, path: &str, query: &Query) -> Result<Value, Failure> {
        self.ask(&Method::GET, path, query, String::new())
    }

    /// Has something done.
    pub fn write(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.ask(&Method::POST, path, &Query::new(), body.to_string())
    }

    fn ask(
        &self,
        method: &Method,
        path: &str,
        query: &Query,
        body: String,
    ) -> Result<Value, Failure> {
        let url = format!(
            "{}/api/v1{path}{}",
            self.relay.url.trim_end_matches('/'),
            encode_query(query)
        );
        let (status, body) = super::runtime()?.block_on(async {
            match timeout(ANSWER_TIMEOUT, self.exchange(method, &url, body)).await {
                Ok(answer) => answer,
                Err(_) => Err(self.unreachable(&format!("no answer within {ANSWER_TIMEOUT:?}"))),
            }
        })?;
        let answer: Option<Value> = serde_json::from_slice(&body).ok();
        match answer {
            Some(answer) if status.is_success() => Ok(answer),
            Some(answer) if answer["error"]["message"].is_string() => {
                Err(self.refused(status, &answer["error"]))
            }
            _ => Err(self.unreachable(&format!("{status} without the answer of a relay"))),
        }
    }

    async fn exchange(
        &self,
        method: &Method,
        url: &str,
        body: String,
    ) -> Result<(StatusCode, Bytes), Failure> {
        let target = Target::parse(url)
            .map_err(|error| Failure::Usage(format!("--url {:?}: {error}", self.relay.url)))?;
        let reach = Reaches::read()?.of_a_person();
        let socket = dial(&target.origin, CONNECT_TIMEOUT, &reach, Protocols::Http1)
            .await
            .map_err(|failure| self.unreachable(&failure.error))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(socket))
            .await
            .map_err(|error| self.unreachable(&error.to_string()))?;
        // It ends with the answer, and its error is that of the answer.
        tokio::spawn(connection);

        let mut request = Request::builder()
            .method(method)
            .uri(target.path.clone())
            .header(HOST, target.origin.authority.clone());
        if method == Method::POST {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if let Some(token) = &self.relay.token {
            let mut value = HeaderValue::try_from(format!("Bearer {token}"))
                .map_err(|_| Failure::Usage("the token must be printable ASCII".to_owned()))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        let request = request
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| Failure::Usage(error.to_string()))?;
        let answer = sender
            .send_request(request)
            .await
            .map_err(|error| self.unreachable(&error.to_string()))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX)
            .collect()
            .await
            .map_err(|error| self.unreachable(&error.to_string()))?;
        Ok((status, body.to_bytes()))
    }

    fn unreachable(&self, reason: &str) -> Failure {
        Failure::Unreachable(format!(
            "the relay at {} cannot be reached: {reason}",
            self.relay.url
        ))
    }

    fn refused(&self, status: StatusCode, error: &Value) -> Failure {
        let mut message = error["message"].as_str().unwrap_or_default().to_owned();
        for detail in error["details"].as_array().into_iter().flatten().skip(1) {
            message.push('\n');
            message.push_str(detail.as_str().unwrap_or_default());
        }
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Failure::Unreachable(format!(
                "the relay at {} refused: {message}",
                self.relay.url
            )),
            StatusCode::BAD_REQUEST => Failure::Usage(message),
            _ => Failure::Failed(message),
        }
    }
}

/// A flag's value for the query: names and what was given.
pub fn query(flags: Vec<(&'static str, Option<String>)>) -> Query {
    flags
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

/// A moment as the API wants it: an RFC 3339 time as it is, `1h` as an hour ago.
pub fn moment(text: Option<&String>) -> Option<String> {
    let text = text?;
    let ago = parse_duration(text);
    Some(ago.map_or_else(
        || text.clone(),
        |ago| {
            let now = Clock::start().now().wall;
            rfc3339(now.checked_sub(ago).unwrap_or(Timestamp::MIN))
        },
    ))
}

/// One segment of a path.
pub fn segment(text: &str) -> String {
    percent_encode(text)
}

fn encode_query(query: &Query) -> String {
    let pairs: Vec<_> = query
        .iter()
        .map(|(name, value)| format!("{name}={}", percent_encode(value)))
        .collect();
    if pairs.is_empty() {
        String::new()
    } else {
        format!("?{}", pairs.join("&"))
    }
}

fn hex_digit(half: u8) -> char {
    char::from(b"0123456789ABCDEF"[usize::from(half)])
}

/// RFC 3986: unreserved characters stay.
fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push(hex_digit(byte >> 4));
            encoded.push(hex_digit(byte & 0xF));
        }
    }
    encoded
}
