//! The process's own output, on stderr: JSON lines for machines, text on a terminal.

use std::io::IsTerminal;

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
    // Other crates' details are noise below warn: they know nothing of deliveries.
    let level = telemetry.level;
    let targets = Targets::new()
        .with_default(level.min(tracing::Level::WARN))
        .with_target("replicates_relay", level)
        .with_target("relay_core", level);
    // For everything, not of the one layer alone: a crate that asks whether something is enabled, as sqlx does, and then
    // says nothing, would take the next event of its thread with it.
    tracing_subscriber::registry()
        .with(targets)
        .with(lines)
        .try_init()
}

fn format_of_stderr() -> Format {
    if std::io::stderr().is_terminal() {
        Format::Text
    } else {
        Format::Json
    }
}
