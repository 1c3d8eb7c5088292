//! The promises, each as a function of the evidence that names whatever breaks it.
//!
//! - [`lost`]: every version is delivered, made pointless by a newer one, or visible as a failure
//! - [`order`]: no older version after a newer one was acknowledged, no two requests of a key at once
//! - [`drained`]: no request of one who gave a partition up while the next one has it
//! - [`rows`]: the consumer holds of each key what was published last
//! - [`ends`]: a relay that ended by itself did so because of an outage, and said so
//! - [`enough`]: and enough happened for that to mean something
//! - [`attempts`]: requests, the log and the store count the same attempts, and never more than the budget
pub mod attempts;
pub mod drained;
pub mod ends;
pub mod enough;
pub mod lost;
pub mod order;
pub mod rows;

#[cfg(test)]
pub mod samples;
