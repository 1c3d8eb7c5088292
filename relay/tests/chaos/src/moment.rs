//! When something happened, on this machine's one clock: what the endpoints see, what relays print and what PostgreSQL
//! commits can be compared.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Microseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Moment(pub i64);

impl Moment {
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Self(i64::try_from(since.as_micros()).unwrap())
    }

    /// Of an RFC 3339 text in UTC, such as `2026-11-26T05:00:00.123456Z`.
    pub fn parse(text: &str) -> Option<Self> {
        let at: relay_core::time::Timestamp = text.parse().ok()?;
        Some(Self(at.as_microsecond()))
    }

    #[must_use]
    pub fn plus(self, more: Duration) -> Self {
        Self(self.0 + i64::try_from(more.as_micros()).unwrap())
    }
}

/// One moment on both of the machine's clocks.
#[derive(Debug, Clone, Copy)]
pub struct Anchor {
    instant: Instant,
    moment: Moment,
}

impl Anchor {
    pub fn now() -> Self {
        Self {
            instant: Instant::now(),
            moment: Moment::now(),
        }
    }

    /// When that was, if it was not before the anchor.
    pub fn moment_of(&self, instant: Instant) -> Moment {
        self.moment
            .plus(instant.saturating_duration_since(self.instant))
    }
}
