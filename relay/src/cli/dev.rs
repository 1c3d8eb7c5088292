//! `dev`: the relay with a broker and a store of its own, on one machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use tempfile::TempDir;

use super::arguments::DevArguments;
use super::failure::Failure;
use super::serve::{end, start_telemetry};
use crate::broker::Embedded;
use crate::config::{Config, DevFlags, Environment};
use crate::run::{self, Migrations};

/// Memory that looks like a directory, where there is one.
const MEMORY: &str = "/dev/shm";

pub fn run(flags: &DevArguments, config_path: Option<&Path>) -> Result<ExitCode, Failure> {
    // Removed with everything in it when the relay ends.
    let memory = flags.ephemeral.then(ephemeral_dir).transpose()?;
    let dir = memory.as_ref().map_or(flags.dir.as_path(), TempDir::path);
    let config = configure(flags, config_path, dir)?;
    if config.destinations.is_empty() {
        return Err(Failure::Usage(
            "dev needs a destination: --destination NAME=URL, or --config with one".to_owned(),
        ));
    }
    fs::create_dir_all(dir)
        .map_err(|error| Failure::Failed(format!("cannot create {}: {error}", dir.display())))?;
    start_telemetry(config.telemetry)?;
    tracing::warn!(
        "the embedded broker keeps records in memory: what is not delivered when this ends is lost"
    );
    Ok(end(run_relay(&Arc::new(config), flags.port)))
}

fn run_relay(config: &Arc<Config>, broker_port: u16) -> anyhow::Result<()> {
    let _broker = Embedded::start(broker_port)?;
    run::serve(config, Migrations::Apply)
}

fn configure(
    flags: &DevArguments,
    config_path: Option<&Path>,
    dir: &Path,
) -> Result<Config, Failure> {
    let file = config_path.map(read).transpose()?;
    let store_url = format!("sqlite://{}", dir.join("relay.db").display());
    let config = Config::for_dev(
        &DevFlags {
            broker_port: flags.port,
            store_url: &store_url,
            admin_listen: &flags.admin,
            destinations: &flags.destinations,
            secret: flags.secret.as_deref(),
        },
        file.as_ref()
            .map(|(name, text)| (name.as_str(), text.as_str())),
        &Environment::of_process(),
    )?;
    Ok(config)
}

fn read(path: &Path) -> Result<(String, String), Failure> {
    let name = path.display().to_string();
    match fs::read_to_string(path) {
        Ok(text) => Ok((name, text)),
        Err(error) => Err(Failure::Usage(format!("cannot read {name}: {error}"))),
    }
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
