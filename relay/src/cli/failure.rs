//! How a command ends badly: a message for people, and an exit code for scripts.

use std::fmt;
use std::process::ExitCode;

use crate::admin::AdminError;
use crate::config::{ConfigError, Problems};
use crate::store::StoreError;

/// The command failed, or a check found a problem.
pub const FAILED: u8 = 1;

/// Wrong usage, or a configuration that cannot be used.
pub const USAGE: u8 = 2;

/// The admin API cannot be reached, or refused the token.
pub const UNREACHABLE: u8 = 3;

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub enum Failure {
    Failed(String),
    Usage(String),
    Config(ConfigError),
    Unreachable(String),
}

impl Failure {
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Failed(_) => FAILED,
            Self::Usage(_) | Self::Config(_) => USAGE,
            Self::Unreachable(_) => UNREACHABLE,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(message) | Self::Usage(message) | Self::Unreachable(message) => {
                f.write_str(message)
            }
            Self::Config(error) => fmt::Display::fmt(error, f),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        Self::Config(problems.into())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<AdminError> for Failure {
    fn from(error: AdminError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}
