//! The pure part of the relay: what to send, and what to do next.
//!
//! No tokio, clock, randomness, socket or SQL. Time and random numbers arrive as arguments, work leaves as
//! [`engine::Action`]s. Read in this order:
//!
//! - [`names`]: keys, versions, delivery ids
//! - [`settings`]: what a destination was told to do, validated
//! - [`partitioner`]: which partition a key belongs to
//! - [`egress`]: which addresses may be reached
//! - [`record`]: a record as read from Kafka, checked, and its JSON
//! - [`request`]: the HTTP request that carries it
//! - [`exchange`]: what one HTTP request brought back
//! - [`token`]: how a token is asked for that it must carry
//! - [`verdict`]: what that means for each delivery, and whose fault it is
//! - [`backoff`]: how long to wait before the next try
//! - [`mask`]: what a log may show of it
//! - [`rows`]: what the store is told to keep
//! - [`engine`]: what to do next
//!
//! [`proto`] is generated from the record's schema; the engine reads the wire by itself and shares it with tests and tools.
pub mod backoff;
pub mod egress;
pub mod engine;
pub mod exchange;
pub mod mask;
pub mod names;
pub mod partitioner;
pub mod proto;
pub mod record;
pub mod request;
pub mod rows;
pub mod settings;
pub mod time;
pub mod token;
pub mod verdict;
