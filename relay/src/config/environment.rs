//! The process's environment: `RELAY__SECTION__KEY` overrides, and the variables that references name. Nothing else
//! of the relay reads it.

use std::collections::BTreeMap;
use std::ffi::OsString;

/// Variables whose names begin so override the file.
pub const OVERRIDE_PREFIX: &str = "RELAY__";

/// A copy of the environment, so that reading a configuration is repeatable.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, OsString>);

impl Environment {
    /// The variables of this process.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the room that reads the environment"
    )]
    pub fn of_process() -> Self {
        Self(
            std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
                .collect(),
        )
    }

    /// Exactly these variables.
    pub fn of<const N: usize>(variables: [(&str, &str); N]) -> Self {
        Self(
            variables
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.into()))
                .collect(),
        )
    }

    /// The text of a variable.
    ///
    /// # Errors
    ///
    /// Says what is wrong with a variable that is not there or not UTF-8.
    pub fn variable(&self, name: &str) -> Result<&str, &'static str> {
        self.0
            .get(name)
            .ok_or("which is not set")?
            .to_str()
            .ok_or("which is not valid UTF-8")
    }

    /// Names and values of the overrides.
    pub fn overrides(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.0
            .iter()
            .filter(|(name, _)| name.starts_with(OVERRIDE_PREFIX))
            .map(|(name, value)| (name.as_str(), value.to_str()))
    }
}
