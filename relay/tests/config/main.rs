//! The configuration as an operator meets it: what holds, and what is said about what cannot hold.
//!
//! - [`layers`], [`requests`], [`identity`]: what holds
//! - [`problems`](mod@problems), [`wrong_values`]: what is said
//! - [`secrets`]: what is never said
mod identity;
mod layers;
mod problems;
mod requests;
mod secrets;
mod wrong_values;

use replicates_relay::config::{Config, Environment};

/// The least that a relay needs.
const LEAST: &str = r#"
[kafka]
brokers = ["127.0.0.1:9092"]
[store]
url = "sqlite://relay.db"
[destinations.billing]
url = "https://billing.internal/replicates_to"
"#;

fn parse(text: &str) -> Config {
    Config::parse("relay.toml", text, &Environment::default()).unwrap()
}

fn problems(text: &str, environment: &Environment) -> Vec<String> {
    let problems = Config::parse("relay.toml", text, environment).unwrap_err();
    problems.iter().map(ToString::to_string).collect()
}
