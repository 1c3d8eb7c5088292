//! The admin API over real HTTP, on a real store, and the commands that ask it.
//!
//! - [`relay`]: a running API, and how to ask it
//! - [`rows`]: what its store holds
mod access;
mod commands;
mod config;
mod deliveries;
mod destinations;
mod health;
mod relay;
mod rows;
