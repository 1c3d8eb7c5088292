//! One HTTP/1.1 connection, and one request at a time on it.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_LENGTH, HeaderValue};
use hyper_util::rt::TokioIo;
use relay_core::exchange::{ErrorClass, HttpRequest};
use tokio::time::Instant;

use super::deadline::Deadline;
use super::dial::Socket;
use super::failure::Failure;
use super::message::{OrElse, Sent, headers, message, read};
use super::target::{Origin, Target};

/// An open connection. Whoever holds it must poll it: [`Connection::poll_closed`] while it idles.
pub struct Connection {
    pub origin: Rc<Origin>,
    sender: SendRequest<Full<Bytes>>,
    opened_at: Instant,
    /// Moves the bytes; none once the connection has ended.
    driver: Option<Driver>,
}

type Driver = http1::Connection<TokioIo<Socket>, Full<Bytes>>;

impl Connection {
    pub async fn open(socket: Socket, origin: Rc<Origin>) -> Result<Self, Failure> {
        let (sender, driver) = http1::handshake(TokioIo::new(socket))
            .await
            .map_err(|error| Failure::of_request(&error))?;
        Ok(Self {
            origin,
            sender,
            opened_at: Instant::now(),
            driver: Some(driver),
        })
    }

    pub fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.opened_at)
    }

    /// True when the next request can be written at once. False while a body is still under way in either direction;
    /// such a connection is of no more use.
    pub async fn is_reusable(&mut self) -> bool {
        poll_fn(|cx| {
            drive(&mut self.driver, cx);
            Poll::Ready(self.driver.is_some() && self.sender.is_ready())
        })
        .await
    }

    /// Ready when the other side has closed.
    pub fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        drive(&mut self.driver, cx);
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
        let mut headers = match headers(request, target) {
            Ok(headers) => headers,
            Err(failure) => return Sent::failed(failure),
        };
        if request.body.is_empty() {
            // hyper announces the length of a body, but not that there is none.
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        let body = Bytes::from(std::mem::take(&mut request.body));
        let message = message(request, headers, target.path.clone(), body.clone());
        let sent = self.send(message, deadline, response_bytes_max).await;
        request.body = body.into();
        sent.after(request)
    }

    async fn send(
        &mut self,
        message: Request<Full<Bytes>>,
        deadline: &mut Deadline,
        response_bytes_max: usize,
    ) -> Sent {
        let Self { sender, driver, .. } = self;
        let mut sending = pin!(sender.try_send_request(message));
        let head = poll_fn(|cx| {
            drive(driver, cx);
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
                    return Sent::NotTaken;
                }
                return Sent::failed(Failure::of_request(refused.error()));
            }
            None => return Sent::failed(Failure::new(ErrorClass::Timeout, "no answer")),
        };
        let first_byte_at = Instant::now();
        let drive = |cx: &mut Context<'_>| drive(driver, cx);
        match read(response, deadline, response_bytes_max, drive).await {
            Ok(answer) => {
                if answer.is_truncated {
                    // What is left of the answer would be read as the next one.
                    self.driver = None;
                }
                Sent::Answered {
                    answer,
                    first_byte_at,
                }
            }
            Err(failure) => Sent::Failed {
                failure,
                first_byte_at: Some(first_byte_at),
            },
        }
    }
}

/// Moves bytes as far as they go. How the connection ended is not looked at here: a request under way is told by hyper, and
/// an idle connection that ended is simply gone.
fn drive(driver: &mut Option<Driver>, cx: &mut Context<'_>) {
    if let Some(running) = driver
        && Pin::new(running).poll(cx).is_ready()
    {
        *driver = None;
    }
}
