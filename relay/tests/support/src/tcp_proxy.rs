//! A cable between a client and a server, which can be held or cut.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::watch;

/// What the cable does with bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Both directions pass.
    Pass,
    /// Nothing passes; connections stay open, and what is held passes later.
    Hold,
    /// What the client says passes, the server's answers are held: work done, acknowledgement missing.
    HoldAnswers,
    /// Connections are closed, new ones too.
    Cut,
}

/// A TCP proxy on a loopback port.
pub struct TcpProxy {
    address: SocketAddr,
    upstream: Arc<Mutex<SocketAddr>>,
    flow: Arc<watch::Sender<Flow>>,
}

impl TcpProxy {
    /// Between whoever connects to [`TcpProxy::address`] and the server at `upstream`, passing.
    pub fn start(upstream: SocketAddr) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (flow, flowing) = watch::channel(Flow::Pass);
        let upstream = Arc::new(Mutex::new(upstream));
        let target = upstream.clone();
        thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(accept(listener, target, flowing));
        });
        Self {
            address,
            upstream,
            flow: Arc::new(flow),
        }
    }

    /// Between whoever connects to [`TcpProxy::address`] and `host:port`.
    pub fn to(host_and_port: &str) -> Self {
        use std::net::ToSocketAddrs;
        Self::start(host_and_port.to_socket_addrs().unwrap().next().unwrap())
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A URL such as `postgres://user@host:port/name`, led through this proxy.
    pub fn url(&self, url: &str) -> String {
        let (scheme, rest) = url.split_once("://").unwrap();
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let user = authority
            .rsplit_once('@')
            .map_or(String::new(), |(user, _)| format!("{user}@"));
        format!("{scheme}://{user}{}/{path}", self.address)
    }

    /// Whoever connects from now on reaches another server; connections that there are stay.
    pub fn lead_to(&self, upstream: SocketAddr) {
        *self.upstream.lock().unwrap() = upstream;
    }

    pub fn set(&self, flow: Flow) {
        self.flow.send_replace(flow);
    }
}

/// Ends with the proxy: then nobody can set its flow any more.
async fn accept(
    listener: std::net::TcpListener,
    upstream: Arc<Mutex<SocketAddr>>,
    mut flow: watch::Receiver<Flow>,
) {
    let listener = TcpListener::from_std(listener).unwrap();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (client, _) = accepted.unwrap();
                let server = *upstream.lock().unwrap();
                tokio::spawn(connect(client, server, flow.clone()));
            }
            changed = flow.changed() => if changed.is_err() { return },
        }
    }
}

async fn connect(client: TcpStream, upstream: SocketAddr, flow: watch::Receiver<Flow>) {
    if *flow.borrow() == Flow::Cut {
        return;
    }
    let Ok(server) = TcpStream::connect(upstream).await else {
        return;
    };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let passes_questions = |flow: Flow| matches!(flow, Flow::Pass | Flow::HoldAnswers);
    let passes_answers = |flow: Flow| flow == Flow::Pass;
    // Whichever side ends first ends both.
    tokio::select! {
        () = copy(from_client, to_server, flow.clone(), passes_questions) => {}
        () = copy(from_server, to_client, flow, passes_answers) => {}
    }
}

async fn copy(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut flow: watch::Receiver<Flow>,
    passes: impl Fn(Flow) -> bool,
) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = tokio::select! {
            read = from.read(&mut buffer) => match read {
                Ok(count) if count > 0 => count,
                _ => return,
            },
            cut = flow.wait_for(|flow| *flow == Flow::Cut) => return drop(cut),
        };
        let decided = flow
            .wait_for(|flow| *flow == Flow::Cut || passes(*flow))
            .await;
        if decided.is_ok_and(|flow| *flow == Flow::Cut) {
            return;
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
