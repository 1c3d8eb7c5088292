//! The process's own output, on stderr: JSON lines for machines, text on a terminal.

use std::io::IsTerminal;

use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, fmt};

use crate::config::{Format, Telemetry};

/// Begins to write events of the configured level to stderr.
///
/// # Errors
///
/// Fails when the process has a subscriber already.
pub fn start(telemetry: Telemetry) -> Result<(), TryInitError> {
    let format = telemetry.format.unwrap_or_else(format_of_stderr);
    let lines = match format {
        Format::Json => fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .with_writer(std::io::stderr)
            .boxed(),
        Format::Text => fmt::layer()
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false)
            .with_writer(std::io::stderr)
            .boxed(),
    };
    // For everything, not of the one layer alone: a crate that asks whether something is enabled, as sqlx does, and then
    // says nothing, would take the next event of its thread with it.
    tracing_subscriber::registry()
        .with(targets(telemetry.level))
        .with(lines)
        .try_init()
}

fn targets(level: Level) -> Targets {
    // Other crates' details are noise below warn: they know nothing of deliveries.
    Targets::new()
        .with_default(level.min(Level::WARN))
        .with_target("replicates_relay", level)
        .with_target("relay_core", level)
        // Tells of each of its tries while the store is away; the store says once what was wrong, and what it was doing.
        .with_target("sqlx_core::pool", LevelFilter::OFF)
}

fn format_of_stderr() -> Format {
    if std::io::stderr().is_terminal() {
        Format::Text
    } else {
        Format::Json
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_crates_warn_only_and_the_pool_leaves_that_to_the_store() {
        for (target, level, is_written) in [
            ("replicates_relay::store", Level::DEBUG, true),
            ("relay_core::engine", Level::DEBUG, true),
            ("hyper", Level::INFO, false),
            ("hyper", Level::WARN, true),
            ("sqlx_core::pool::inner", Level::ERROR, false),
            ("sqlx::pool::acquire", Level::WARN, true),
        ] {
            let would = targets(Level::DEBUG).would_enable(target, &level);
            assert_eq!(would, is_written, "{target} {level}");
        }
    }
}
