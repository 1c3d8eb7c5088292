//! `dev`: the relay with a broker and a store of its own, on one machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tempfile::TempDir;

use super::arguments::DevArguments;
use super::failure::Failure;
use super::serve::{end, start_telemetry};
use crate::broker::Embedded;
use crate::config::{Config, DevFlags, Environment};
use crate::reload::{Source, Written};
use crate::run::{self, Migrations};

/// Memory that looks like a directory, where there is one.
const MEMORY: &str = "/dev/shm";

pub fn run(flags: DevArguments, config_path: Option<PathBuf>) -> Result<ExitCode, Failure> {
    // Removed with everything in it when the relay ends.
    let memory = flags.ephemeral.then(ephemeral_dir).transpose()?;
    let dir = memory.as_ref().map_or(flags.dir.as_path(), TempDir::path);
    let dir = dir.to_path_buf();
    let port = flags.port;
    let source = source(flags, &dir, config_path);
    let written = source.read()?;
    if written.config.destinations.is_empty() {
        return Err(Failure::Usage(
            "dev needs a destination: --destination NAME=URL, or --config with one".to_owned(),
        ));
    }
    fs::create_dir_all(&dir)
        .map_err(|error| Failure::Failed(format!("cannot create {}: {error}", dir.display())))?;
    start_telemetry(written.config.telemetry)?;
    tracing::warn!(
        "the embedded broker keeps records in memory: what is not delivered when this ends is lost"
    );
    Ok(end(run_relay(source, written, port)))
}

fn run_relay(source: Source, written: Written, broker_port: u16) -> anyhow::Result<()> {
    let _broker = Embedded::start(broker_port)?;
    run::serve(source, written, Migrations::Apply)
}

fn source(flags: DevArguments, dir: &Path, config_path: Option<PathBuf>) -> Source {
    let store_url = format!("sqlite://{}", dir.join("relay.db").display());
    let environment = Environment::of_process();
    Source::flags(config_path, move |file| {
        let dev = DevFlags {
            broker_port: flags.port,
            store_url: &store_url,
            admin_listen: &flags.admin,
            destinations: &flags.destinations,
            secret: flags.secret.as_deref(),
        };
        Config::for_dev(&dev, file, &environment)
    })
}

fn ephemeral_dir() -> Result<TempDir, Failure> {
    let memory = PathBuf::from(MEMORY);
    let parent = if memory.is_dir() {
        memory
    } else {
        std::env::temp_dir()
    };
    Ok(TempDir::with_prefix_in("replicates-relay-", parent)?)
}
