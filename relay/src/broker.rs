//! The embedded broker of `replicates-relay dev`: librdkafka's mock cluster, reachable for other processes.
//!
//! It keeps records in memory, at most 5 MiB or 100,000 batches of each partition, and forgets everything when the
//! process ends. Topics create themselves, with [`PARTITIONS`] partitions. Laptops and tests only.
//!
//! - [`cluster`]: the mock cluster itself
//! - [`proxy`]: its fixed port
mod cluster;
mod proxy;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use cluster::Cluster;
use proxy::Proxy;

/// Partitions of a topic that creates itself; the mock cluster's own choice.
pub const PARTITIONS: i32 = 4;

/// The `kafka.session_timeout` that suits this broker: its groups rebalance only a second before a member's session
/// could have run out, also when nobody has died.
pub const SESSION_TIMEOUT: Duration = Duration::from_secs(3);

/// Why there is no embedded broker.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    #[error("port {0} is in use by another program; choose another one with --port")]
    PortTaken(u16),
    #[error("the embedded broker cannot listen on port {port}: {error}")]
    Listen { port: u16, error: io::Error },
    #[error("the embedded broker did not start: {0}")]
    Start(String),
}

/// A running broker; it ends when dropped.
#[derive(Debug)]
pub struct Embedded {
    address: SocketAddr,
    // In this order: connections end before what they lead to.
    _proxy: Proxy,
    _cluster: Cluster,
}

impl Embedded {
    /// Starts a broker on `127.0.0.1:port`; port 0 takes a free one.
    ///
    /// # Errors
    ///
    /// When the port is taken, or the cluster cannot be created.
    pub fn start(port: u16) -> Result<Self, BrokerError> {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|error| match error.kind() {
                io::ErrorKind::AddrInUse => BrokerError::PortTaken(port),
                _ => BrokerError::Listen { port, error },
            })?;
        let listening = |error| BrokerError::Listen { port, error };
        let address = listener.local_addr().map_err(listening)?;
        let cluster = Cluster::start(address.port())?;
        let proxy = Proxy::start(listener, cluster.address()).map_err(listening)?;
        Ok(Self {
            address,
            _proxy: proxy,
            _cluster: cluster,
        })
    }

    /// What goes into `kafka.brokers`: `127.0.0.1:9092`.
    pub fn brokers(&self) -> String {
        self.address.to_string()
    }
}
