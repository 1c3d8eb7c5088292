//! The edges of the relay: what touches Kafka, HTTP, the store, the file system and people.
pub mod admin;
pub mod cli;
pub mod clock;
pub mod config;
pub mod http;
pub mod metrics;
pub mod nearest;
pub mod status;
pub mod store;
pub mod telemetry;

/// The revision that this binary was built from; `unknown` outside a checkout.
pub const REVISION: &str = match option_env!("RELAY_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};
