//! The edges of the relay: what touches Kafka, HTTP, the store, the file system and people.
pub mod clock;
pub mod config;
pub mod http;
pub mod metrics;
pub mod nearest;
pub mod status;
pub mod store;
pub mod telemetry;
