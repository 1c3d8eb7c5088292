//! A configuration: it is valid as a whole, or every problem has words; and a secret is never among them.

use replicates_relay::config::{Config, Environment};

const SECRET: &str = "correct-horse-battery-staple";

/// The text of a file.
pub fn feed(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let environment = Environment::of([("SECRET", SECRET), ("URL", "https://billing.internal/")]);
    match Config::parse("relay.toml", &text, &environment) {
        Ok(config) => {
            for destination in &config.destinations {
                let retry = destination.route.retry;
                assert!(retry.in_place <= retry.max_retries && retry.base <= retry.cap);
                assert!(destination.concurrency > 0);
            }
        }
        Err(problems) => {
            assert!(!problems.is_empty());
            for problem in problems.iter() {
                assert!(!problem.message.is_empty());
                assert!(!problem.message.contains(SECRET), "{problem}");
            }
        }
    }
}
