//! What the relay's tests and benchmarks stand on.
//!
//! Around the relay:
//! - [`services`]: where the real Kafka and PostgreSQL are
//! - [`scene`]: names of its own for one test: topics, groups, a database
//! - [`kafka`], [`record`]: topics, and records as the gem publishes them
//! - [`database`]: a fresh PostgreSQL database
//! - [`postgres_pair`]: a PostgreSQL server of the test's own with a standby, behind one address
//! - [`relay`]: the real relay as a process, with a configuration written for it
//! - [`reference`]: the keys that such a configuration may have
//!
//! Beside it:
//! - [`stub_server`]: an endpoint that answers as told and remembers what it was sent
//! - [`history`]: what that memory says about order
//! - [`lives`]: the same across kills
//! - [`raw_server`]: a TCP server that answers with whatever bytes a test wants
//! - [`tcp_proxy`]: a cable that can be held or cut
//! - [`wait`]: waiting for a condition, never for a time
pub mod database;
pub mod history;
pub mod kafka;
pub mod lives;
pub mod port;
pub mod postgres_pair;
pub mod raw_server;
pub mod record;
pub mod reference;
pub mod relay;
pub mod scene;
pub mod services;
pub mod stub_server;
pub mod tcp_proxy;
pub mod wait;
