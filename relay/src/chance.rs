//! The randomness of the process, read nowhere else.

use std::hash::{BuildHasher, Hasher, RandomState};

/// Random numbers for jitter: unlike in two processes, not fit for secrets.
#[derive(Debug)]
pub struct Chance {
    seeds: RandomState,
    drawn: u64,
}

impl Chance {
    /// Seeded by the operating system.
    pub fn new() -> Self {
        Self {
            seeds: RandomState::new(),
            drawn: 0,
        }
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.drawn += 1;
        let mut hasher = self.seeds.build_hasher();
        hasher.write_u64(self.drawn);
        hasher.finish()
    }
}

impl Default for Chance {
    fn default() -> Self {
        Self::new()
    }
}
