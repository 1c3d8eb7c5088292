//! What came out, for people and for `bin/test`.

/// The counts of a run, and everything that broke a promise.
#[derive(Debug, Default)]
pub struct Report {
    /// Lines of counts.
    pub counts: Vec<String>,
    pub lost: Vec<String>,
    pub order: Vec<String>,
    pub rows: Vec<String>,
    pub attempts: Vec<String>,
    pub offsets: Vec<String>,
    /// Relays that ended by themselves, and what did not come to its end.
    pub failures: Vec<String>,
}

/// Examples of each kind.
const EXAMPLES: usize = 5;

impl Report {
    pub fn is_good(&self) -> bool {
        let kinds = [
            &self.lost,
            &self.order,
            &self.rows,
            &self.attempts,
            &self.offsets,
            &self.failures,
        ];
        kinds.iter().all(|found| found.is_empty())
    }

    pub fn print(&self) {
        for line in &self.counts {
            println!("chaos: {line}");
        }
        let kinds = [
            ("lost", &self.lost),
            ("order violation", &self.order),
            ("wrong row", &self.rows),
            ("wrong attempt", &self.attempts),
            ("unexplained offset", &self.offsets),
            ("failure", &self.failures),
        ];
        for (kind, found) in kinds {
            for line in found.iter().take(EXAMPLES) {
                println!("chaos: {kind}: {line}");
            }
        }
        println!(
            "attempts wrong {} offsets unexplained {} failures {}",
            self.attempts.len(),
            self.offsets.len(),
            self.failures.len()
        );
        println!(
            "lost {} order violations {} wrong rows {}",
            self.lost.len(),
            self.order.len(),
            self.rows.len()
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anything_that_breaks_a_promise_spoils_a_run() {
        let one = || vec!["something".to_owned()];
        assert!(Report::default().is_good());
        let spoilt = [
            Report {
                lost: one(),
                ..Report::default()
            },
            Report {
                order: one(),
                ..Report::default()
            },
            Report {
                rows: one(),
                ..Report::default()
            },
            Report {
                attempts: one(),
                ..Report::default()
            },
            Report {
                offsets: one(),
                ..Report::default()
            },
            Report {
                failures: one(),
                ..Report::default()
            },
        ];
        assert!(spoilt.iter().all(|report| !report.is_good()));
    }
}
