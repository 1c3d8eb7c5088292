//! Time as an argument: nothing in this crate reads a clock.

use std::time::Duration;

pub use jiff::{SignedDuration, Timestamp};

/// The moment of a step, read by the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Since some fixed moment of this process; never steps back. All waiting is measured by it.
    pub monotonic: Duration,
    /// The wall clock, for what leaves the process: due times in the store, signatures, the log.
    pub wall: Timestamp,
}

impl Now {
    /// The wall time of a monotonic moment, now or ahead.
    pub fn wall_at(self, monotonic: Duration) -> Timestamp {
        saturating_add(self.wall, monotonic.saturating_sub(self.monotonic))
    }

    /// The monotonic moment at which the wall clock will show `wall`; now when that has passed.
    pub fn monotonic_at(self, wall: Timestamp) -> Duration {
        let ahead = wall.duration_since(self.wall);
        self.monotonic
            .saturating_add(Duration::try_from(ahead).unwrap_or_default())
    }
}

/// `timestamp + duration`, at most the last moment there is.
pub fn saturating_add(timestamp: Timestamp, duration: Duration) -> Timestamp {
    timestamp.checked_add(duration).unwrap_or(Timestamp::MAX)
}

/// RFC 3339 in UTC with 6 fraction digits, 9 when there are nanoseconds.
pub fn rfc3339(timestamp: Timestamp) -> String {
    let digits = if timestamp.subsec_nanosecond() % 1_000 == 0 {
        6
    } else {
        9
    };
    format!("{timestamp:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_six_fraction_digits_and_nine_with_nanoseconds() {
        let at = |text: &str| rfc3339(text.parse().unwrap());
        assert_eq!(at("2026-11-22T06:46:00Z"), "2026-11-22T06:46:00.000000Z");
        assert_eq!(
            at("2026-11-22T06:46:00.123456Z"),
            "2026-11-22T06:46:00.123456Z"
        );
        assert_eq!(
            at("1969-12-31T23:59:59.000000001Z"),
            "1969-12-31T23:59:59.000000001Z"
        );
    }

    #[test]
    fn a_due_time_that_has_passed_is_now() {
        let now = Now {
            monotonic: Duration::from_secs(5),
            wall: "2026-11-22T00:00:10Z".parse().unwrap(),
        };
        assert_eq!(
            now.monotonic_at("2026-11-22T00:00:00Z".parse().unwrap()),
            Duration::from_secs(5)
        );
        assert_eq!(
            now.monotonic_at("2026-11-22T00:00:13Z".parse().unwrap()),
            Duration::from_secs(8)
        );
        assert_eq!(
            now.wall_at(Duration::from_secs(8)),
            "2026-11-22T00:00:13Z".parse().unwrap()
        );
    }
}
