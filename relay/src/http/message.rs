//! Requests as hyper takes them, answers as they are read.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::header::{AUTHORIZATION, HOST, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, Uri};
use relay_core::exchange::{Answer, ErrorClass, HttpRequest};
use relay_core::settings;
use tokio::time::Instant;

use super::deadline::Deadline;
use super::failure::Failure;
use super::target::Target;

/// What became of a request.
pub enum Sent {
    /// Status, headers and body, read in full or up to the cap.
    Answered {
        answer: Answer,
        first_byte_at: Instant,
    },
    Failed {
        failure: Failure,
        first_byte_at: Option<Instant>,
    },
    /// The server has not seen it, or says that it did nothing about it: another connection can take it.
    NotTaken,
}

impl Sent {
    /// A failure before any byte of an answer.
    pub fn failed(failure: Failure) -> Self {
        Self::Failed {
            failure,
            first_byte_at: None,
        }
    }

    /// Says of a timeout how long it was.
    pub fn after(self, request: &HttpRequest) -> Self {
        match self {
            Self::Failed {
                failure,
                first_byte_at,
            } if failure.class == ErrorClass::Timeout => {
                let error = format!("{} within {:?}", failure.error, request.timeout);
                Self::Failed {
                    failure: Failure { error, ..failure },
                    first_byte_at,
                }
            }
            other => other,
        }
    }
}

/// A future's result, or else another's: what `select` does, without its bookkeeping.
pub trait OrElse<T> {
    fn or_else(self, other: impl FnOnce() -> Poll<T>) -> Poll<T>;
}

impl<T> OrElse<T> for Poll<T> {
    fn or_else(self, other: impl FnOnce() -> Poll<T>) -> Poll<T> {
        match self {
            Self::Ready(value) => Self::Ready(value),
            Self::Pending => other(),
        }
    }
}

/// Reads an answer, its body up to the cap. `drive` moves the bytes of its connection, where nobody else does.
pub async fn read(
    response: Response<Incoming>,
    deadline: &mut Deadline,
    response_bytes_max: usize,
    mut drive: impl FnMut(&mut Context<'_>),
) -> Result<Answer, Failure> {
    let (head, mut incoming) = response.into_parts();
    if head.status.is_informational() {
        let error = format!("answered {} without being asked to", head.status.as_u16());
        return Err(Failure::new(ErrorClass::BadResponse, error));
    }
    let mut body = Vec::new();
    let mut is_truncated = false;
    while !is_truncated && let Some(data) = next_data(&mut incoming, deadline, &mut drive).await? {
        let room = response_bytes_max - body.len();
        body.extend_from_slice(&data[..data.len().min(room)]);
        let is_full = data.len() >= room;
        is_truncated = data.len() > room || (is_full && incoming.size_hint().lower() > 0);
    }
    Ok(Answer {
        status: head.status.as_u16(),
        headers: headers_of(&head.headers),
        body,
        is_truncated,
    })
}

/// The next piece of a body; none at its end.
async fn next_data(
    incoming: &mut Incoming,
    deadline: &mut Deadline,
    drive: &mut impl FnMut(&mut Context<'_>),
) -> Result<Option<Bytes>, Failure> {
    while !incoming.is_end_stream() {
        let next = poll_fn(|cx| {
            drive(cx);
            let frame = Pin::new(&mut *incoming).poll_frame(cx).map(Some);
            frame.or_else(|| deadline.poll(cx).map(|()| None))
        })
        .await;
        let frame = match next {
            Some(Some(frame)) => frame.map_err(|error| Failure::of_body(&error))?,
            Some(None) => return Ok(None),
            None => {
                let error = "the answer was not complete";
                return Err(Failure::new(ErrorClass::Timeout, error));
            }
        };
        // Trailers are passed over.
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// A request for that URI, or that path of the server at the other end.
pub fn message(
    request: &HttpRequest,
    headers: HeaderMap,
    uri: Uri,
    body: Bytes,
) -> Request<Full<Bytes>> {
    let mut message = Request::new(Full::new(body));
    *message.method_mut() = method(request.method);
    *message.uri_mut() = uri;
    *message.headers_mut() = headers;
    message
}

fn method(method: settings::Method) -> Method {
    match method {
        settings::Method::Post => Method::POST,
        settings::Method::Put => Method::PUT,
        settings::Method::Patch => Method::PATCH,
        settings::Method::Delete => Method::DELETE,
    }
}

/// The headers of a request. All values of its own share one buffer: one allocation, not one for each.
pub fn headers(request: &HttpRequest, target: &Target) -> Result<HeaderMap, Failure> {
    let count = 2 + request.headers.len() + request.configured_headers.len();
    let mut headers = HeaderMap::with_capacity(count);
    headers.insert(HOST, target.origin.authority.clone());
    for header in request.configured_headers.iter() {
        let name = HeaderName::from_bytes(header.name.as_bytes());
        let value = HeaderValue::from_str(&header.value);
        let (Ok(name), Ok(value)) = (name, value) else {
            return Err(unsendable(&header.name));
        };
        headers.append(name, value);
    }
    if let Some(token) = &request.token {
        let value = HeaderValue::try_from(format!("Bearer {}", token.expose()));
        headers.insert(
            AUTHORIZATION,
            value.map_err(|_| unsendable("authorization"))?,
        );
    }
    let bytes = request.headers.iter().map(|(_, value)| value.len()).sum();
    let mut values = BytesMut::with_capacity(bytes);
    for (name, value) in &request.headers {
        values.extend_from_slice(value.as_bytes());
        let value = HeaderValue::from_maybe_shared(values.split().freeze())
            .map_err(|_| unsendable(name))?;
        headers.insert(HeaderName::from_static(name), value);
    }
    Ok(headers)
}

/// A header that HTTP does not allow. Names and values are validated where they come from, so this is a mistake of
/// ours or of the configuration; the value is not shown.
fn unsendable(name: &str) -> Failure {
    Failure::new(ErrorClass::Connect, format!("header {name} cannot be sent"))
}

fn headers_of(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), text(value)))
        .collect()
}
