//! `serve`: runs the relay.

use std::process::ExitCode;
use std::sync::Arc;

use super::failure::{FAILED, Failure};
use crate::config::{Config, Telemetry};
use crate::run::{self, Migrations};
use crate::telemetry;

pub fn run(config: Config, migrate: bool) -> Result<ExitCode, Failure> {
    start_telemetry(config.telemetry)?;
    let migrations = if migrate {
        Migrations::Apply
    } else {
        Migrations::Require
    };
    Ok(end(run::serve(&Arc::new(config), migrations)))
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
            tracing::error!("{}", whole(&error));
            ExitCode::from(FAILED)
        }
    }
}

/// An error and its causes, each said once: some already end with their cause.
fn whole(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let error = anyhow::anyhow!("connection refused")
            .context("the store is unavailable: connection refused")
            .context("cannot open the store");
        assert_eq!(
            whole(&error),
            "cannot open the store: the store is unavailable: connection refused"
        );
    }
}
