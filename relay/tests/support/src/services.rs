//! Where the real Kafka and PostgreSQL are.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

/// Addresses of the running services.
#[derive(Debug, Clone)]
pub struct Services {
    /// `host:port`.
    pub brokers: String,
    /// Of a database from which others can be created.
    pub postgres_url: String,
}

/// The services that `bin/services up` started, or those that `RELAY_TEST_KAFKA` and `RELAY_TEST_POSTGRES` name.
///
/// # Panics
///
/// When they are not running.
pub fn services() -> &'static Services {
    static SERVICES: OnceLock<Services> = OnceLock::new();
    SERVICES.get_or_init(|| {
        let named = |name| std::env::var(name).ok();
        match (named("RELAY_TEST_KAFKA"), named("RELAY_TEST_POSTGRES")) {
            (Some(brokers), Some(postgres_url)) => Services {
                brokers,
                postgres_url,
            },
            (brokers, postgres_url) => {
                let started = started();
                Services {
                    brokers: brokers.unwrap_or_else(|| address(&started, "kafka", "brokers")),
                    postgres_url: postgres_url
                        .unwrap_or_else(|| address(&started, "postgres", "url")),
                }
            }
        }
    })
}

/// The folder that holds everything.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../..")
        .canonicalize()
        .unwrap()
}

fn started() -> Value {
    let status = Command::new(root().join("bin/services"))
        .args(["status", "--json"])
        .output()
        .expect("bin/services can be run");
    serde_json::from_slice(&status.stdout).unwrap_or_else(|error| {
        panic!(
            "bin/services status --json: {error}: {}",
            String::from_utf8_lossy(&status.stderr)
        )
    })
}

fn address(started: &Value, service: &str, field: &str) -> String {
    let status = &started[service];
    assert!(
        status["running"] == true,
        "{service} is not running: start it with bin/services up"
    );
    status[field].as_str().expect("an address").to_owned()
}
