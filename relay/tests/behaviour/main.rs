//! How the relay behaves, as a process before a real Kafka and a real store. Each file says at its top of what it tells.
//!
//! One binary, so that tests which wait do so side by side. Each has a scene of its own; they share the services alone.
mod batches;
mod classify;
mod crash;
mod group;
mod limits;
mod misuse;
mod more_partitions;
mod offset_gaps;
mod outage;
mod pause;
mod poison_key;
mod poison_records;
mod rate;
mod reload;
mod requests;
mod retention;
mod secrets;
mod store;
mod store_failover;
mod strays;
mod token;
mod topic_policies;
mod unchanged;
mod versions_back;
