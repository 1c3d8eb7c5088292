//! The HTTP edge: turns an [`HttpRequest`] into an [`Exchange`], on one thread of its own.
//!
//! Requests arrive as [`Job`]s in [`Message`]s over a bounded channel and leave as [`Finished`], both in batches so that a
//! burst costs one wake-up. hyper's HTTP/1.1 connections are driven directly, each by the task that owns it: no pool of a
//! client library, no task per request, no lock. Servers that choose HTTP/2 get a few connections that requests share.
//! Read in this order:
//!
//! - [`hub`]: messages in, answers out
//! - [`pool`]: the connections of one destination
//! - [`worker`]: one connection's life, from dial to idle to the next request
//! - [`connection`]: one request and its answer by HTTP/1.1
//! - [`lines`], [`line`]: the connections that servers of HTTP/2 let many requests share
//! - [`message`]: what a request is to hyper, and how its answer is read
//! - [`tokens`]: what some requests must carry, and where it is asked for
//! - [`target`], [`names`], [`reach`], [`tls`], [`dial`]: where to connect, whether that is allowed, and how
//! - [`failure`]: what went wrong, in one word and one line
mod connection;
mod deadline;
pub(crate) mod dial;
pub(crate) mod failure;
mod hub;
mod line;
mod lines;
mod message;
mod names;
mod pool;
mod reach;
pub(crate) mod target;
pub mod tls;
mod tokens;
mod worker;

use std::io;
use std::thread::JoinHandle;
use std::time::Duration;

use relay_core::exchange::{Exchange, HttpRequest};
use relay_core::settings;
use tokio::sync::mpsc;

use crate::lease::{Lease, Term};

pub use names::{Names, SystemNames};
pub use reach::{Reach, Reaches};
pub use target::{UrlError, check_url};

/// Messages that may wait for the thread. The sender bounds the requests in flight; this bounds only how far it
/// runs ahead of a thread that is busy.
const MESSAGES_WAITING_MAX: usize = 64;

/// A destination as this edge serves it.
#[derive(Debug, Clone)]
pub struct Endpoint {
    pub limits: Limits,
    pub reach: Reach,
}

/// How much, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub connect_timeout: Duration,
    /// Bytes of a response body that are read.
    pub response_bytes_max: usize,
    /// Most connections, idle ones included.
    pub concurrency: usize,
    /// No request begins on a connection that has been open for longer: the name of its server may lead elsewhere by now.
    pub age_max: Duration,
}

/// For how long a server that a name has left still gets requests.
const AGE_MAX: Duration = Duration::from_secs(60);

impl From<&settings::Destination> for Limits {
    fn from(destination: &settings::Destination) -> Self {
        Self {
            connect_timeout: destination.connect_timeout,
            response_bytes_max: destination.response_bytes_max,
            concurrency: destination.concurrency,
            age_max: AGE_MAX,
        }
    }
}

/// What the thread is told.
#[derive(Debug)]
pub enum Message {
    /// Requests to be made.
    Make(Vec<Job>),
    /// A destination is served like this from now on. What it has in flight ends as it began.
    Serve {
        destination: usize,
        /// Boxed: rarer than requests, and larger.
        endpoint: Box<Endpoint>,
    },
    /// No more requests come for a destination.
    Forget { destination: usize },
}

/// A request to be made.
#[derive(Debug)]
pub struct Job {
    /// The number of one that is served.
    pub destination: usize,
    /// Chosen by the caller, handed back as it is.
    pub request_id: u64,
    pub request: HttpRequest,
    /// When it was asked for: it is not made when that is over.
    pub term: Term,
}

/// A request that is over, handed back for the log, and what it brought.
#[derive(Debug)]
pub struct Finished {
    pub destination: usize,
    pub request_id: u64,
    pub request: HttpRequest,
    pub term: Term,
    /// None: it was not made, for its term was over.
    pub exchange: Option<Exchange>,
}

/// The running thread. When every sender of messages is gone it finishes what it has, hands over the answers and ends;
/// when nobody takes answers any more it ends at once.
#[derive(Debug)]
pub struct HttpHandle {
    messages: mpsc::Sender<Message>,
    thread: JoinHandle<()>,
}

impl HttpHandle {
    /// Where messages go in.
    pub fn messages(&self) -> &mpsc::Sender<Message> {
        &self.messages
    }

    /// Takes no more jobs and waits for those in flight.
    ///
    /// # Panics
    ///
    /// When the thread has panicked.
    pub fn join(self) {
        drop(self.messages);
        self.thread.join().expect("the http thread panicked");
    }
}

/// Starts the thread `http`. A batch of answers becomes one message on `answers`. Nothing is sent that the lease does not
/// allow.
///
/// # Errors
///
/// When the thread or its event loop cannot be created.
pub fn spawn<A>(answers: mpsc::Sender<A>, lease: Lease) -> io::Result<HttpHandle>
where
    A: From<Vec<Finished>> + Send + 'static,
{
    let (messages, arriving) = mpsc::channel(MESSAGES_WAITING_MAX);
    let thread = std::thread::Builder::new()
        .name("http".into())
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build_local(tokio::runtime::LocalOptions::default())
                .expect("an event loop for http");
            runtime.block_on(hub::run(arriving, answers, lease));
        })?;
    Ok(HttpHandle { messages, thread })
}
