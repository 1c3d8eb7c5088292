//! What the relay's tests and benchmarks stand on.
//!
//! - [`raw_server`]: a TCP server that answers with whatever bytes a test wants
pub mod raw_server;
