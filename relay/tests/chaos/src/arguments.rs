//! `--seconds N --seed S`.

use std::time::{SystemTime, UNIX_EPOCH};

/// What `bin/test` runs when it is not told how long.
const SECONDS: u64 = 90;

/// How long faults last, and which.
#[derive(Debug, Clone, Copy)]
pub struct Arguments {
    pub seconds: u64,
    pub seed: u64,
}

impl Arguments {
    /// # Errors
    /// What is wrong with the arguments.
    pub fn read(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let (mut seconds, mut seed) = (SECONDS, None);
        while let Some(word) = words.next() {
            let number = words.next().and_then(|word| word.parse().ok());
            match (word.as_str(), number) {
                ("--seconds", Some(number)) if number > 0 => seconds = number,
                ("--seed", Some(number)) => seed = Some(number),
                _ => return Err(format!("{word}: --seconds N and --seed S are known")),
            }
        }
        Ok(Self {
            seconds,
            seed: seed.unwrap_or_else(any_seed),
        })
    }
}

/// Each run meets another plan; the one it met is printed.
fn any_seed() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_secs() % 1_000_000
}
