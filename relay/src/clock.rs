//! The clocks of the process, read nowhere else: everything that decides by time is told the time.

use std::time::Instant;

use relay_core::time::{Now, Timestamp};

/// Both clocks: one that never steps back, for waiting, and the wall's, for what leaves the process. Copies agree.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    /// A clock whose monotonic time begins now.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the room that reads the clock"
    )]
    pub fn start() -> Self {
        Self {
            started: Instant::now(),
        }
    }

    /// This moment on both clocks.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the room that reads the clock"
    )]
    pub fn now(self) -> Now {
        Now {
            monotonic: self.started.elapsed(),
            wall: Timestamp::now(),
        }
    }
}
