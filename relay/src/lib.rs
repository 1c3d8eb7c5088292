//! The edges of the relay: what touches Kafka, HTTP, the store, the file system and people.
pub mod clock;
pub mod config;
pub mod http;
pub mod nearest;
pub mod store;
