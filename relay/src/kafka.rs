//! The Kafka edge: a destination's consumer group, as events for its engine.
//!
//! - [`bounds`]: where partitions begin
//! - `client`: what a consumer asks of librdkafka
//! - [`consumer`]: records and rebalances in, commits, pauses and releases out
//! - [`group`]: what librdkafka calls back
//! - [`partitions`]: how many there are, for what replicas share by them
//! - [`recent`]: the last records, for people
//! - [`policies`]: how topics keep their records
//! - [`start`]: where a group that never had offsets begins
//! - [`strays`]: partitions that nobody owns
//! - `topics`: which of them are a destination's
//! - [`unread`]: the oldest records that a group has not read, for people
//!
//! Three rules keep the promises here. A partition that is wanted back is given up only when it has been drained:
//! `incremental_unassign` waits for that. A commit that must not be lost is made before that call. And a consumer that
//! closes answers the last rebalance at once, or closing would wait for itself.
mod bounds;
mod client;
pub mod consumer;
mod group;
mod partitions;
mod policies;
mod recent;
mod start;
mod strays;
mod topics;
mod unread;

use rdkafka::error::KafkaError;

pub use bounds::{Found, Question, find_bounds};
pub use client::trusted_for;
pub use consumer::{Arrival, Consumer};
pub use partitions::{Counted, watch_partitions};
pub use policies::{Policies, Policy, describe, watch_policies};
pub use recent::{RecentFailure, recent};
pub use strays::Strays;
pub use unread::unread_before;

/// Why a consumer cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum KafkaFailure {
    #[error(
        "another replica has taken the name {name:?} in group {group}: two replicas must not share relay.name"
    )]
    Fenced { name: String, group: String },
    #[error("the consumer of group {group} failed for good: {source}")]
    Fatal {
        group: String,
        source: Box<KafkaError>,
    },
    #[error("cannot create a consumer for group {group}: {source}")]
    Creation {
        group: String,
        source: Box<KafkaError>,
    },
    #[error("cannot subscribe group {group} to {pattern}: {source}")]
    Subscription {
        group: String,
        pattern: String,
        source: Box<KafkaError>,
    },
}
