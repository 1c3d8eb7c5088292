//! The promises, each as a function of the evidence that names whatever breaks it.
//!
//! - [`lost`]: every version is delivered, made pointless by a newer one, or visible as a failure
//! - [`order`]: no older version after a newer one was acknowledged, no two requests of a key at once
//! - [`rows`]: the consumer holds of each key what was published last
//! - [`attempts`]: requests, the log and the store count the same attempts, and never more than the budget
pub mod attempts;
pub mod lost;
pub mod order;
pub mod rows;

#[cfg(test)]
mod samples;
