//! How long to wait before the next try.

use std::time::Duration;

use crate::settings::Retry;

/// The wait before retry `n`, counted from 1: `min(cap, base × factor^(n-1)) × (1 ± jitter)`.
///
/// `random` lies in 0..1 and picks the place within the jitter. Saturates: no count and no factor overflows.
pub fn delay(retry: &Retry, n: u32, random: f64) -> Duration {
    let exponent = i32::try_from(n.saturating_sub(1)).unwrap_or(i32::MAX);
    let grown = retry.base.as_secs_f64() * retry.factor.powi(exponent);
    let capped = grown.min(retry.cap.as_secs_f64());
    let spread = 1.0 + retry.jitter * (2.0 * random - 1.0);
    Duration::try_from_secs_f64(capped * spread).unwrap_or(retry.cap)
}

/// The longest wait before any retry.
pub fn longest(retry: &Retry) -> Duration {
    Duration::try_from_secs_f64(retry.cap.as_secs_f64() * (1.0 + retry.jitter)).unwrap_or(retry.cap)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn retry() -> Retry {
        Retry {
            max_retries: 12,
            in_place: 2,
            base: Duration::from_secs(1),
            factor: 3.0,
            cap: Duration::from_secs(6 * 3_600),
            jitter: 0.2,
        }
    }

    #[test]
    fn delays_grow_by_the_factor_up_to_the_cap() {
        let seconds: Vec<_> = (1..=11)
            .map(|n| delay(&retry(), n, 0.5).as_secs())
            .collect();
        assert_eq!(
            seconds,
            [1, 3, 9, 27, 81, 243, 729, 2_187, 6_561, 19_683, 21_600]
        );
    }

    #[test]
    fn jitter_spreads_a_delay_to_both_sides_of_it() {
        assert_eq!(delay(&retry(), 1, 0.0), Duration::from_millis(800));
        assert_eq!(delay(&retry(), 1, 1.0), Duration::from_millis(1_200));
    }

    #[test]
    fn the_largest_count_waits_the_cap() {
        assert_eq!(delay(&retry(), u32::MAX, 0.5), retry().cap);
        assert_eq!(delay(&retry(), 0, 0.5), retry().base);
    }

    proptest! {
        #[test]
        fn a_delay_stays_within_the_jitter_around_the_cap(
            n: u32, random in 0.0..1.0, factor in 1.0..10.0, jitter in 0.0..=1.0,
            base_ms in 0_u64..1_000_000, more_ms in 0_u64..1_000_000_000,
        ) {
            let retry = Retry {
                factor,
                jitter,
                base: Duration::from_millis(base_ms),
                cap: Duration::from_millis(base_ms + more_ms),
                ..retry()
            };
            let waited = delay(&retry, n, random).as_secs_f64();
            let slack = 1e-6;
            prop_assert!(waited <= retry.cap.as_secs_f64() * (1.0 + jitter) + slack);
            prop_assert!(waited >= retry.base.as_secs_f64() * (1.0 - jitter) - slack);
        }
    }
}
