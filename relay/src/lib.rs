//! The edges of the relay: what touches Kafka, HTTP, the store, the file system and people.
//!
//! A record walks from [`kafka`] through the engine of `relay-core`, which [`deliver`] drives, to [`http`], and back to
//! [`keeper`] and its [`store`]. [`run`] starts all of it; [`cli`] and [`admin`] are for people.
pub mod admin;
pub mod broker;
pub mod chance;
pub mod cli;
pub mod clock;
pub mod config;
pub mod current;
pub mod deliver;
pub mod http;
pub mod kafka;
pub mod keeper;
pub mod lease;
pub mod metrics;
pub mod nearest;
pub mod plan;
pub mod reload;
pub mod run;
pub mod status;
pub mod store;
pub mod telemetry;

/// The revision that this binary was built from; `unknown` outside a checkout.
pub const REVISION: &str = match option_env!("RELAY_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};
