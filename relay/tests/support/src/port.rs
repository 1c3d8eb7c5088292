//! Ports that stay free while their server is away.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the range from which the system takes the ports of outgoing connections: there a port could be taken while
/// its server is down. Beside the range of `bin/services`.
const FIRST: u16 = 12_000;
const COUNT: u16 = 8_000;

/// A loopback port on which nobody listens.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Each process begins elsewhere, so that tests running side by side seldom meet.
    let start = u16::try_from(std::process::id() * 37 % u32::from(COUNT)).unwrap();
    (0..COUNT)
        .map(|_| FIRST + (start + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT) % COUNT)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("no free loopback port")
}
