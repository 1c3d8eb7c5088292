//! `serve`: runs the relay.

use std::process::ExitCode;
use std::sync::Arc;

use super::failure::{FAILED, Failure};
use crate::config::{Config, Telemetry};
use crate::telemetry;

pub fn run(config: Config, migrate: bool) -> Result<ExitCode, Failure> {
    start_telemetry(config.telemetry)?;
    Ok(end(run_relay(&Arc::new(config), migrate)))
}

fn run_relay(_config: &Arc<Config>, _migrate: bool) -> anyhow::Result<()> {
    anyhow::bail!("this build has no engine")
}

/// From here on messages are events, so that machines can read them.
pub fn start_telemetry(telemetry: Telemetry) -> Result<(), Failure> {
    telemetry::start(telemetry)
        .map_err(|error| Failure::Failed(format!("cannot start telemetry: {error}")))
}

/// What a relay that has ended says to who started it.
pub fn end(ended: anyhow::Result<()>) -> ExitCode {
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::from(FAILED)
        }
    }
}
