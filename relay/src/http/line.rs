//! One HTTP/2 connection, shared by many requests: each is a stream of its own, and ends without the others.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::client::conn::http2::{self, SendRequest};
use hyper::header::HOST;
use hyper::rt::Executor;
use hyper_util::rt::TokioIo;
use relay_core::exchange::{ErrorClass, HttpRequest};
use tokio::time::Instant;

use super::deadline::Deadline;
use super::dial::Socket;
use super::failure::{Failure, is_gone_away, is_refused};
use super::message::{OrElse, Sent, headers, message, read};
use super::target::{Origin, Target};

/// Until the server has said how many streams it takes, only one waits here: that is the first thing it says.
const STREAMS_BEFORE_SETTINGS: usize = 0;

/// Bytes of an answer's headers. HTTP/1.1 takes 100 headers of any length that fits its buffer.
const HEADER_BYTES_MAX: u32 = 64 * 1024;

/// An open connection. It closes when nobody holds it any more.
pub struct Line {
    pub origin: Rc<Origin>,
    sender: SendRequest<Full<Bytes>>,
    /// None once it has ended.
    driver: Rc<RefCell<Option<Driver>>>,
    opened_at: Instant,
    idle_since: Cell<Instant>,
    streams: Cell<usize>,
    /// It serves those who are on it, and nobody else.
    is_retired: Cell<bool>,
}

type Driver = http2::Connection<TokioIo<Socket>, Full<Bytes>, Local>;

impl Line {
    /// `opened` is called once it is known how many requests may share it, or that none may.
    pub async fn open(
        socket: Socket,
        origin: Rc<Origin>,
        opened: impl FnOnce() + 'static,
    ) -> Result<Self, Failure> {
        let (sender, driver) = http2::Builder::new(Local)
            .initial_max_send_streams(STREAMS_BEFORE_SETTINGS)
            .max_header_list_size(HEADER_BYTES_MAX)
            .handshake(TokioIo::new(socket))
            .await
            .map_err(|error| Failure::of_request(&error))?;
        let driver = Rc::new(RefCell::new(Some(driver)));
        tokio::task::spawn_local(drive(driver.clone(), opened));
        let now = Instant::now();
        Ok(Self {
            origin,
            sender,
            driver,
            opened_at: now,
            idle_since: Cell::new(now),
            streams: Cell::new(0),
            is_retired: Cell::new(false),
        })
    }

    /// Whether it is of no more use to anybody.
    pub fn is_over(&self) -> bool {
        self.is_retired.get() || self.driver.borrow().is_none()
    }

    /// Whether the server takes another stream.
    pub fn has_room(&self) -> bool {
        let driver = self.driver.borrow();
        let most = driver.as_ref().map_or(0, Driver::current_max_send_streams);
        self.streams.get() < most.max(1)
    }

    pub fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.opened_at)
    }

    /// For how long no request has been on it.
    pub fn idle(&self, now: Instant) -> Option<Duration> {
        let is_idle = self.streams.get() == 0;
        is_idle.then(|| now.duration_since(self.idle_since.get()))
    }

    /// Takes a place on it, until that is dropped.
    pub fn take_place(self: &Rc<Self>) -> Place {
        self.streams.set(self.streams.get() + 1);
        Place(self.clone())
    }
}

/// A request's place on a line.
pub struct Place(Rc<Line>);

impl Drop for Place {
    fn drop(&mut self) {
        let line = &self.0;
        line.streams.set(line.streams.get() - 1);
        line.idle_since.set(Instant::now());
    }
}

impl Place {
    /// Sends a request and reads its answer. The request's body is in its place again afterwards.
    pub async fn exchange(
        self,
        request: &mut HttpRequest,
        target: &Target,
        deadline: &mut Deadline,
        response_bytes_max: usize,
    ) -> Sent {
        let mut headers = match headers(request, target) {
            Ok(headers) => headers,
            Err(failure) => return Sent::failed(failure),
        };
        // The URI names the server.
        headers.remove(HOST);
        let body = Bytes::from(std::mem::take(&mut request.body));
        let message = message(request, headers, target.absolute(), body.clone());
        let sent = self.send(message, deadline, response_bytes_max).await;
        request.body = body.into();
        if self.is_suspect(&sent) {
            self.0.is_retired.set(true);
        }
        sent.after(request)
    }

    async fn send(
        &self,
        message: Request<Full<Bytes>>,
        deadline: &mut Deadline,
        response_bytes_max: usize,
    ) -> Sent {
        let mut sender = self.0.sender.clone();
        // Dropped before it is ready, it resets its stream and no other.
        let mut sending = pin!(sender.try_send_request(message));
        let head = poll_fn(|cx| {
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
                let is_unsent = refused.take_message().is_some();
                if is_unsent || is_gone_away(refused.error()) {
                    self.0.is_retired.set(true);
                    return Sent::NotTaken;
                }
                if is_refused(refused.error()) {
                    return Sent::NotTaken;
                }
                return Sent::failed(Failure::of_request(refused.error()));
            }
            None => return Sent::failed(Failure::new(ErrorClass::Timeout, "no answer")),
        };
        let first_byte_at = Instant::now();
        // What is left of an answer that was too long is reset with its stream.
        match read(response, deadline, response_bytes_max, |_| {}).await {
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

    /// Whether another connection is to be tried next time: this one may be dead, and would not say so for minutes.
    fn is_suspect(&self, sent: &Sent) -> bool {
        match sent {
            Sent::Answered { .. } | Sent::NotTaken => false,
            Sent::Failed { failure, .. } => {
                failure.class == ErrorClass::Timeout || self.0.driver.borrow().is_none()
            }
        }
    }
}

/// Moves the bytes of a connection until it ends. How it ended is told to each request on it.
async fn drive(driver: Rc<RefCell<Option<Driver>>>, opened: impl FnOnce()) {
    let mut opened = Some(opened);
    poll_fn(|cx| {
        let mut driver = driver.borrow_mut();
        let Some(running) = driver.as_mut() else {
            return Poll::Ready(());
        };
        let ended = Pin::new(&mut *running).poll(cx).map(drop);
        let is_open = running.current_max_send_streams() > STREAMS_BEFORE_SETTINGS;
        if (is_open || ended.is_ready())
            && let Some(opened) = opened.take()
        {
            opened();
        }
        ended
    })
    .await;
    // What waits in it is handed back.
    let ended = driver.borrow_mut().take();
    drop(ended);
}

/// Tasks of a connection run on the thread of their destination.
#[derive(Debug, Clone, Copy)]
struct Local;

impl<F> Executor<F> for Local
where
    F: Future + 'static,
{
    fn execute(&self, future: F) {
        tokio::task::spawn_local(async move {
            future.await;
        });
    }
}
