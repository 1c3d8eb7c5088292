//! One HTTP/1.1 connection, and one request at a time on it.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{AUTHORIZATION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use relay_core::exchange::{Answer, ErrorClass, HttpRequest};
use relay_core::settings;
use tokio::time::Instant;

use super::deadline::Deadline;
use super::dial::Socket;
use super::failure::Failure;
use super::target::{Origin, Target};

/// An open connection. Whoever holds it must poll it: [`Connection::poll_closed`] while it idles.
pub struct Connection {
    pub origin: Rc<Origin>,
    sender: SendRequest<Full<Bytes>>,
    /// Moves the bytes; none once the connection has ended.
    driver: Option<http1::Connection<TokioIo<Socket>, Full<Bytes>>>,
}

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
    /// The connection was closed before any byte of the request was written: another one can take it.
    NotWritten,
}

impl Connection {
    pub async fn open(socket: Socket, origin: Rc<Origin>) -> Result<Self, Failure> {
        let (sender, driver) = http1::handshake(TokioIo::new(socket))
            .await
            .map_err(|error| Failure::of_request(&error))?;
        Ok(Self {
            origin,
            sender,
            driver: Some(driver),
        })
    }

    /// True when the next request can be written at once. False while a body is still under way in either direction;
    /// such a connection is of no more use.
    pub async fn is_reusable(&mut self) -> bool {
        poll_fn(|cx| {
            self.drive(cx);
            Poll::Ready(self.driver.is_some() && self.sender.is_ready())
        })
        .await
    }

    /// Ready when the other side has closed.
    pub fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.drive(cx);
        if self.driver.is_none() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// Sends a request and reads its answer. The request's body is in its place again afterwards.
    pub async fn exchange(
        &mut self,
        request: &mut HttpRequest,
        target: &Target,
        deadline: &mut Deadline,
        response_bytes_max: usize,
    ) -> Sent {
        let body = Bytes::from(std::mem::take(&mut request.body));
        let sent = match message(request, target, body.clone()) {
            Ok(message) => self.send(message, deadline, response_bytes_max).await,
            Err(failure) => Sent::Failed {
                failure,
                first_byte_at: None,
            },
        };
        request.body = body.into();
        match sent {
            Sent::Failed {
                failure,
                first_byte_at,
            } if failure.class == ErrorClass::Timeout => {
                let error = format!("{} within {:?}", failure.error, request.timeout);
                Sent::Failed {
                    failure: Failure { error, ..failure },
                    first_byte_at,
                }
            }
            other => other,
        }
    }

    async fn send(
        &mut self,
        message: Request<Full<Bytes>>,
        deadline: &mut Deadline,
        response_bytes_max: usize,
    ) -> Sent {
        let mut sending = pin!(self.sender.try_send_request(message));
        let head = poll_fn(|cx| {
            self.drive(cx);
            sending
                .as_mut()
                .poll(cx)
                .map(Some)
                .or_else(|| deadline.poll(cx).map(|()| None))
        })
        .await;
        let response = match head {
            Some(Ok(response)) => response,
            Some(Err(mut refused)) => {
                if refused.take_message().is_some() {
                    return Sent::NotWritten;
                }
                let failure = Failure::of_request(refused.error());
                return Sent::Failed {
                    failure,
                    first_byte_at: None,
                };
            }
            None => {
                let failure = Failure::new(ErrorClass::Timeout, "no answer");
                return Sent::Failed {
                    failure,
                    first_byte_at: None,
                };
            }
        };
        let first_byte_at = Instant::now();
        match self.read(response, deadline, response_bytes_max).await {
            Ok(answer) => Sent::Answered {
                answer,
                first_byte_at,
            },
            Err(failure) => Sent::Failed {
                failure,
                first_byte_at: Some(first_byte_at),
            },
        }
    }

    async fn read(
        &mut self,
        response: Response<Incoming>,
        deadline: &mut Deadline,
        response_bytes_max: usize,
    ) -> Result<Answer, Failure> {
        let (head, mut incoming) = response.into_parts();
        if head.status.is_informational() {
            let error = format!("answered {} without being asked to", head.status.as_u16());
            return Err(Failure::new(ErrorClass::BadResponse, error));
        }
        let mut body = Vec::new();
        let mut is_truncated = false;
        while !is_truncated && let Some(data) = self.next_data(&mut incoming, deadline).await? {
            let room = response_bytes_max - body.len();
            body.extend_from_slice(&data[..data.len().min(room)]);
            let is_full = data.len() >= room;
            is_truncated = data.len() > room || (is_full && incoming.size_hint().lower() > 0);
        }
        if is_truncated {
            // What is left of the answer would be read as the next one.
            self.driver = None;
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
        &mut self,
        incoming: &mut Incoming,
        deadline: &mut Deadline,
    ) -> Result<Option<Bytes>, Failure> {
        while !incoming.is_end_stream() {
            let next = poll_fn(|cx| {
                self.drive(cx);
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

    /// Moves bytes as far as they go. How the connection ended is not looked at here: a request under way is told by
    /// hyper, and an idle connection that ended is simply gone.
    fn drive(&mut self, cx: &mut Context<'_>) {
        if let Some(driver) = &mut self.driver
            && Pin::new(driver).poll(cx).is_ready()
        {
            self.driver = None;
        }
    }
}

/// A future's result, or else another's: what `select` does, without its bookkeeping.
trait OrElse<T> {
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

/// The request as hyper takes it.
fn message(
    request: &HttpRequest,
    target: &Target,
    body: Bytes,
) -> Result<Request<Full<Bytes>>, Failure> {
    let mut headers = headers(request, target)?;
    if body.is_empty() {
        // hyper announces the length of a body, but not that there is none.
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    let mut message = Request::new(Full::new(body));
    *message.method_mut() = method(request.method);
    *message.uri_mut() = target.path.clone();
    *message.headers_mut() = headers;
    Ok(message)
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
fn headers(request: &HttpRequest, target: &Target) -> Result<HeaderMap, Failure> {
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
