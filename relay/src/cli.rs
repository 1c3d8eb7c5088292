//! The command line. Results go to stdout, messages to stderr; `--json` prints one object, lists one object per line.
//!
//! - [`arguments`]: commands and flags
//! - [`serve`], [`dev`]: run the relay
//! - [`check`], [`migrate`], [`settings`]: look at what the configuration points at
//! - [`destinations`], [`failures`], [`retry`], [`tail`], [`plan`]: ask a running relay, through [`client`]
//! - [`output`], [`failure`]: what is printed, and how a command ends
mod arguments;
mod check;
mod client;
mod destinations;
mod dev;
mod failure;
mod failures;
mod migrate;
mod output;
mod plan;
mod retry;
mod serve;
mod settings;
mod tail;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use crate::config::{Config, Environment};
use arguments::{Arguments, Command};
use failure::Failure;
use output::Output;

/// This binary's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

const CONFIG_PATH_DEFAULT: &str = "./relay.toml";

/// Runs the command that the process's arguments name.
pub fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Nobody is left to tell when the terminal is gone.
            let _ = error.print();
            return match error.kind() {
                ErrorKind::DisplayHelp => ExitCode::SUCCESS,
                _ => ExitCode::from(failure::USAGE),
            };
        }
    };
    let mut output = Output::new(arguments.json);
    let outcome = dispatch(arguments, &mut output);
    match outcome {
        Ok(code) => code,
        Err(failure) => {
            output.message(&failure.to_string());
            failure.exit_code()
        }
    }
}

fn dispatch(arguments: Arguments, output: &mut Output) -> Result<ExitCode, Failure> {
    let config = arguments.config;
    match arguments.command {
        Command::Serve { migrate } => return serve::run(path(config), migrate),
        Command::Dev(flags) => return dev::run(flags, config),
        Command::Check(flags) => return check::run(&path(config), &flags, output),
        Command::Migrate(flags) => migrate::run(&load(config)?, &flags, output)?,
        Command::Destinations {
            name,
            action,
            reason,
            relay,
        } => match (name, action) {
            (Some(name), Some(action)) => {
                destinations::change(&name, action, reason.as_deref(), &relay, output)?;
            }
            (name, _) => destinations::run(name.as_deref(), &relay, output)?,
        },
        Command::Failures { id, filters, relay } => {
            failures::run(id.as_deref(), &filters, &relay, output)?;
        }
        Command::Retry { ids, relay } => return retry::run(&ids, &relay, output),
        Command::Tail { filters, relay } => tail::run(&filters, &relay, output)?,
        Command::Plan { flags, relay } => {
            return plan::run(&path(config), &flags, &relay, output);
        }
        Command::Config { defaults, .. } => {
            if defaults {
                settings::print_defaults(output)?;
            } else {
                settings::print_effective(&load(config)?, output)?;
            }
        }
        Command::Version => settings::print_version(output)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn path(given: Option<PathBuf>) -> PathBuf {
    given.unwrap_or_else(|| PathBuf::from(CONFIG_PATH_DEFAULT))
}

fn load(given: Option<PathBuf>) -> Result<Config, Failure> {
    load_from(&path(given))
}

fn load_from(path: &Path) -> Result<Config, Failure> {
    Ok(Config::load(path, &Environment::of_process())?)
}

/// A runtime for a command that waits for a few answers.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Failed(format!("cannot start a runtime: {error}")))
}
