//! A result, in the shape that `bin/bench --json` keeps.

use serde::Serialize;
use serde_json::Value;

#[derive(Debug, Serialize)]
pub struct Report {
    pub name: &'static str,
    /// Of `value`, `min`, `median` and `p99`.
    pub unit: &'static str,
    pub value: f64,
    pub min: f64,
    pub median: f64,
    pub p99: f64,
    pub samples: usize,
    pub records: u64,
    pub cpu_us_per_record: f64,
    pub records_per_second: f64,
    /// Resident memory of the relay after each step of records.
    pub memory_bytes: Vec<u64>,
    pub settings: Value,
    pub baseline: Option<Baseline>,
    /// The same of another build, in the same run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub against: Option<Baseline>,
}

/// What `value` is held against, measured in the same run.
#[derive(Debug, Serialize)]
pub struct Baseline {
    pub name: &'static str,
    pub value: f64,
    /// `value` of the result / `value` of this; of another build the median of those of all rounds.
    pub ratio: f64,
}

/// The value below which that share of the samples lies.
///
/// # Panics
///
/// When there are no samples.
pub fn quantile(samples: &[f64], share: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a position among samples, far below 2^52"
    )]
    let position = ((sorted.len() - 1) as f64 * share).round() as usize;
    sorted[position]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_samples() {
        let samples = [3.0, 1.0, 2.0, 5.0, 4.0];
        let near = |share: f64, expected: f64| (quantile(&samples, share) - expected).abs() < 1e-9;
        assert!(near(0.0, 1.0) && near(0.5, 3.0) && near(0.99, 5.0) && near(1.0, 5.0));
    }
}
