//! `serve`: runs the relay.

use std::path::PathBuf;
use std::process::ExitCode;

use super::failure::{FAILED, Failure};
use crate::config::{Environment, Telemetry};
use crate::reload::Source;
use crate::run::{self, Migrations};
use crate::telemetry;

pub fn run(config_path: PathBuf, migrate: bool) -> Result<ExitCode, Failure> {
    let source = Source::file(config_path, Environment::of_process());
    let written = source.read()?;
    start_telemetry(written.config.telemetry)?;
    let migrations = if migrate {
        Migrations::Apply
    } else {
        Migrations::Require
    };
    Ok(end(run::serve(source, written, migrations)))
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
