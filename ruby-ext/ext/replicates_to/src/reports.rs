//! What is queued, and what came back: the bound of the producer's memory, and the ring that delivery reports land in.
//!
//! A record takes a place when it is enqueued and gives it back when its report is drained, so the ring never holds
//! more than `records_max` reports and a report never has to wait for room. No Ruby here: any thread may call.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// What became of a record: `error` is Kafka's text, none when it was acknowledged.
#[derive(Debug, PartialEq, Eq)]
pub struct Report {
    pub token: usize,
    pub error: Option<String>,
}

/// The most that may be queued.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub records_max: usize,
    pub bytes_max: usize,
}

/// The queue's accounts and the ring of reports.
#[derive(Debug)]
pub struct Reports {
    bounds: Bounds,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    ring: VecDeque<Report>,
    queued_records: usize,
    queued_bytes: usize,
}

impl Reports {
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            state: Mutex::default(),
        }
    }

    /// Takes a place for a record; `false` when the queue is full. A record larger than `bytes_max` has its place in an
    /// empty queue, or it would never be sent.
    pub fn admit(&self, bytes: usize) -> bool {
        let mut state = self.state();
        let is_full = state.queued_records + state.ring.len() >= self.bounds.records_max
            || (state.queued_records > 0 && state.queued_bytes + bytes > self.bounds.bytes_max);
        if !is_full {
            state.queued_records += 1;
            state.queued_bytes += bytes;
        }
        !is_full
    }

    /// Gives back the place of a record that was not enqueued after all.
    pub fn withdraw(&self, bytes: usize) {
        let mut state = self.state();
        state.queued_records -= 1;
        state.queued_bytes -= bytes;
    }

    /// Moves a record from the queue to the ring.
    pub fn deliver(&self, bytes: usize, report: Report) {
        let mut state = self.state();
        state.queued_records -= 1;
        state.queued_bytes -= bytes;
        state.ring.push_back(report);
    }

    /// Takes at most `max` reports, oldest first.
    pub fn drain(&self, max: usize) -> Vec<Report> {
        let mut state = self.state();
        let count = max.min(state.ring.len());
        state.ring.drain(..count).collect()
    }

    pub fn is_empty(&self) -> bool {
        self.state().ring.is_empty()
    }

    pub fn queued_records(&self) -> usize {
        self.state().queued_records
    }

    pub fn queued_bytes(&self) -> usize {
        self.state().queued_bytes
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change above is complete before anything can panic, so a poisoned lock guards a sound state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reports(records_max: usize, bytes_max: usize) -> Reports {
        Reports::new(Bounds {
            records_max,
            bytes_max,
        })
    }

    #[test]
    fn a_record_keeps_its_place_until_its_report_is_drained() {
        let reports = reports(2, 1_000);
        assert!(reports.admit(10) && reports.admit(10));
        assert!(!reports.admit(10));
        reports.deliver(
            10,
            Report {
                token: 1,
                error: None,
            },
        );
        assert!(!reports.admit(10), "the report still waits in the ring");
        assert_eq!(
            reports.drain(10),
            [Report {
                token: 1,
                error: None
            }]
        );
        assert!(reports.admit(10));
    }

    #[test]
    fn bytes_are_bounded_but_a_lone_record_always_fits() {
        let reports = reports(10, 100);
        assert!(reports.admit(500));
        assert!(!reports.admit(1));
        reports.deliver(
            500,
            Report {
                token: 1,
                error: None,
            },
        );
        assert!(reports.admit(60) && !reports.admit(60) && reports.admit(40));
        assert_eq!((reports.queued_records(), reports.queued_bytes()), (2, 100));
    }

    #[test]
    fn a_withdrawn_record_leaves_no_trace() {
        let reports = reports(1, 100);
        assert!(reports.admit(60));
        reports.withdraw(60);
        assert_eq!((reports.queued_records(), reports.queued_bytes()), (0, 0));
        assert!(reports.admit(60) && reports.is_empty());
    }

    #[test]
    fn reports_are_drained_oldest_first_and_never_more_than_asked() {
        let reports = reports(10, 100);
        for token in 1..=3 {
            assert!(reports.admit(1));
            reports.deliver(
                1,
                Report {
                    token,
                    error: Some("refused".into()),
                },
            );
        }
        let tokens = |max| {
            reports
                .drain(max)
                .iter()
                .map(|report| report.token)
                .collect::<Vec<_>>()
        };
        assert_eq!(tokens(2), [1, 2]);
        assert_eq!(tokens(2), [3]);
        assert_eq!(tokens(2), [0; 0]);
    }
}
