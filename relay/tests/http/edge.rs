//! The edge as a test holds it: requests go in, finished ones come out, and no wait is endless.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use relay_core::egress::{Egress, Loopback};
use relay_core::exchange::{Answer, End, ErrorClass, Exchange, HttpRequest, Timings};
use relay_core::settings::Method;
use replicates_relay::clock::Clock;
use replicates_relay::http::{
    self, Endpoint, Finished, HttpHandle, Job, Limits, Message, Names, Reach, SystemNames, tls,
};
use replicates_relay::lease::{Lease, Term};
use rustls::RootCertStore;
use tokio::sync::mpsc;

/// No test waits longer for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// No test takes longer.
const LEASE: Duration = Duration::from_secs(600);

pub const LIMITS: Limits = Limits {
    connect_timeout: Duration::from_secs(2),
    response_bytes_max: 64 * 1024,
    concurrency: 4,
    age_max: Duration::from_secs(60),
};

/// The servers of these tests.
pub const THIS_MACHINE: Egress = Egress {
    allow: Vec::new(),
    deny: Vec::new(),
    loopback: Loopback::Always,
};

/// Names whose answers a test changes.
#[derive(Debug)]
pub struct ToldNames {
    answers: Mutex<Vec<SocketAddr>>,
    asked: AtomicUsize,
}

impl ToldNames {
    /// Every name leads to these in turn, and to the last for good.
    pub fn leading_to(answers: &[SocketAddr]) -> Arc<Self> {
        Arc::new(Self {
            answers: Mutex::new(answers.to_vec()),
            asked: AtomicUsize::new(0),
        })
    }

    /// From now on every name leads there.
    pub fn lead_to(&self, address: SocketAddr) {
        *self.answers.lock().unwrap() = vec![address];
    }

    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Names for ToldNames {
    async fn find(&self, _host: &str, _port: u16) -> io::Result<Vec<SocketAddr>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.answers.lock().unwrap();
        let address = if answers.len() > 1 {
            answers.remove(0)
        } else {
            answers[0]
        };
        Ok(vec![address])
    }
}

pub struct Edge {
    pub handle: HttpHandle,
    pub lease: Lease,
    pub answers: mpsc::Receiver<Vec<Finished>>,
    arrived: Vec<Finished>,
}

impl Edge {
    pub fn start() -> Self {
        Self::with(&[LIMITS])
    }

    pub fn with(destinations: &[Limits]) -> Self {
        Self::with_tls(destinations, &tls::with_roots(RootCertStore::empty()))
    }

    pub fn with_tls(destinations: &[Limits], tls: &Arc<rustls::ClientConfig>) -> Self {
        let endpoint = |limits: &Limits| Endpoint {
            limits: *limits,
            reach: Reach {
                egress: Some(THIS_MACHINE),
                tls: tls.clone(),
                names: Arc::new(SystemNames),
            },
        };
        Self::of(destinations.iter().map(endpoint).collect())
    }

    /// One destination, reached at these addresses only.
    pub fn with_egress(egress: Egress) -> Self {
        Self::of(vec![Endpoint {
            limits: LIMITS,
            reach: Reach {
                egress: Some(egress),
                tls: tls::with_roots(RootCertStore::empty()),
                names: Arc::new(SystemNames),
            },
        }])
    }

    /// One destination, whose names lead where they are told.
    pub fn with_names(
        limits: Limits,
        egress: Egress,
        tls: Arc<rustls::ClientConfig>,
        names: &Arc<ToldNames>,
    ) -> Self {
        let reach = Reach {
            egress: Some(egress),
            tls,
            names: names.clone(),
        };
        Self::of(vec![Endpoint { limits, reach }])
    }

    pub fn of(destinations: Vec<Endpoint>) -> Self {
        let (sender, answers) = mpsc::channel(16);
        let lease = Lease::new(Clock::start(), LEASE);
        let edge = Self {
            handle: http::spawn(sender, lease.clone()).unwrap(),
            lease,
            answers,
            arrived: Vec::new(),
        };
        for (destination, endpoint) in destinations.into_iter().enumerate() {
            let endpoint = Box::new(endpoint);
            let serve = Message::Serve {
                destination,
                endpoint,
            };
            edge.handle.messages().try_send(serve).unwrap();
        }
        edge
    }

    pub async fn tell(&self, message: Message) {
        self.handle.messages().send(message).await.unwrap();
    }

    pub async fn submit(&self, jobs: Vec<Job>) {
        self.tell(Message::Make(jobs)).await;
    }

    /// The next finished request.
    pub async fn next(&mut self) -> Finished {
        while self.arrived.is_empty() {
            let batch = tokio::time::timeout(PATIENCE, self.answers.recv()).await;
            self.arrived = batch.expect("no answer came").expect("the edge ended");
        }
        self.arrived.remove(0)
    }

    /// Makes one request.
    pub async fn call(&mut self, request: HttpRequest) -> Finished {
        self.submit(vec![job(0, 1, request)]).await;
        self.next().await
    }
}

pub fn job(destination: usize, request_id: u64, request: HttpRequest) -> Job {
    Job {
        destination,
        request_id,
        request,
        term: Term::default(),
    }
}

pub fn post(url: &str, body: &[u8]) -> HttpRequest {
    HttpRequest {
        grant: None,
        token: None,
        method: Method::Post,
        url: url.into(),
        headers: vec![("content-type", "application/json".into())],
        configured_headers: Arc::new([]),
        body: body.to_vec(),
        batch_id: None,
        timeout: Duration::from_secs(5),
    }
}

pub fn answered(finished: &Finished) -> &Answer {
    match &exchange(finished).end {
        End::Answered(answer) => answer,
        End::Failed { class, error } => panic!("{}: {error}", class.as_str()),
    }
}

pub fn failed(finished: &Finished) -> (ErrorClass, &str) {
    match &exchange(finished).end {
        End::Failed { class, error } => (*class, error),
        End::Answered(answer) => panic!("answered {}", answer.status),
    }
}

pub fn timings(finished: &Finished) -> Timings {
    exchange(finished).timings
}

pub fn exchange(finished: &Finished) -> &Exchange {
    finished.exchange.as_ref().expect("a request that was made")
}
