//! librdkafka's mock cluster.
//!
//! rdkafka's own wrapper cannot change the address that the broker names to its clients, and the port it listens on
//! is always a random one. Hence the calls into librdkafka here, the only ones of the relay.
#![expect(
    unsafe_code,
    reason = "rdkafka has no safe call to set the advertised address"
)]

use std::ffi::CStr;
use std::fmt;
use std::net::SocketAddr;
use std::ptr::NonNull;

use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka_sys::types::RDKafkaMockCluster;
use rdkafka_sys::{
    rd_kafka_mock_broker_set_host_port, rd_kafka_mock_cluster_bootstraps,
    rd_kafka_mock_cluster_destroy, rd_kafka_mock_cluster_new,
    rd_kafka_mock_group_initial_rebalance_delay_ms,
};

use super::BrokerError;

/// The number that librdkafka gives to the first broker.
const FIRST_BROKER: i32 = 1;

/// How long a new group waits for more members. Real brokers wait 3 s, which nobody at a laptop needs.
const INITIAL_REBALANCE_DELAY_MS: i32 = 100;

/// A cluster of one broker. Its thread belongs to librdkafka.
pub struct Cluster {
    pointer: NonNull<RDKafkaMockCluster>,
    address: SocketAddr,
    /// The cluster lives inside a client, which never sends anything.
    _client: BaseProducer,
}

impl Cluster {
    /// Starts a cluster that names `127.0.0.1:advertised_port` to its clients.
    pub fn start(advertised_port: u16) -> Result<Self, BrokerError> {
        let client: BaseProducer = ClientConfig::new()
            .create()
            .map_err(|error| BrokerError::Start(error.to_string()))?;
        // SAFETY: the client's handle is valid while `client` lives, and the cluster is destroyed before it.
        let pointer =
            unsafe { rd_kafka_mock_cluster_new(client.client().native_ptr(), FIRST_BROKER) };
        let pointer = NonNull::new(pointer)
            .ok_or_else(|| BrokerError::Start("librdkafka made no mock cluster".into()))?;
        // SAFETY: the cluster is valid; the text is its own, ends with NUL and is copied here.
        let bootstraps =
            unsafe { CStr::from_ptr(rd_kafka_mock_cluster_bootstraps(pointer.as_ptr())) };
        let bootstraps = bootstraps
            .to_string_lossy()
            .replace("localhost", "127.0.0.1");
        // SAFETY: the cluster is valid, this broker is its only one, the host ends with NUL and is copied.
        unsafe {
            let (host, port) = (c"127.0.0.1".as_ptr(), i32::from(advertised_port));
            rd_kafka_mock_broker_set_host_port(pointer.as_ptr(), FIRST_BROKER, host, port);
            rd_kafka_mock_group_initial_rebalance_delay_ms(
                pointer.as_ptr(),
                INITIAL_REBALANCE_DELAY_MS,
            );
        }
        let address = bootstraps.parse();
        let cluster = |address| Self {
            pointer,
            address,
            _client: client,
        };
        address
            .map(cluster)
            .map_err(|_| BrokerError::Start(format!("it listens on {bootstraps:?}")))
    }

    /// Where the broker really listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

// SAFETY: the pointer is used once more, in `drop`, and librdkafka lets any thread destroy a cluster.
unsafe impl Send for Cluster {}

impl Drop for Cluster {
    fn drop(&mut self) {
        // SAFETY: made by `rd_kafka_mock_cluster_new`, destroyed only here, and the client still lives.
        unsafe { rd_kafka_mock_cluster_destroy(self.pointer.as_ptr()) }
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cluster({})", self.address)
    }
}
