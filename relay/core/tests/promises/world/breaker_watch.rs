//! Whether breakers open for a reason, and let through what they may.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use relay_core::engine::view::BreakerView;

use super::endpoint::Meaning;
use super::settings::{MIN_KEYS, WINDOW};

/// The window is kept in slices: what is a little older may still count.
const SLACK: Duration = Duration::from_secs(10);

#[derive(Default)]
pub struct BreakerWatch {
    failures: BTreeMap<usize, Vec<Failure>>,
    openings: u32,
}

struct Failure {
    at: Duration,
    model: String,
    key: String,
    is_unreachable: bool,
}

impl BreakerWatch {
    pub fn openings(&self) -> u32 {
        self.openings
    }

    /// A request ended badly; to be told before the engine is.
    pub fn failed(&mut self, who: usize, model: &str, key: &str, meaning: Meaning, at: Duration) {
        let is_unreachable = meaning == Meaning::Unreachable;
        if is_unreachable || matches!(meaning, Meaning::Unclear | Meaning::Endpoint) {
            self.failures.entry(who).or_default().push(Failure {
                at,
                model: model.to_owned(),
                key: key.to_owned(),
                is_unreachable,
            });
        }
    }

    pub fn forget_replica(&mut self, who: usize) {
        self.failures.remove(&who);
    }

    /// A step is over. `sent`: the models of the requests that left in it.
    pub fn look(
        &mut self,
        who: usize,
        (before, after): (Option<&BreakerView>, Option<&BreakerView>),
        sent: &[String],
        now: Duration,
    ) {
        let Some(breaker) = after else { return };
        if before.is_none() {
            self.openings += 1;
            self.assert_reason(who, &breaker.model, now);
        }
        let probes = sent.iter().filter(|model| **model == breaker.model).count();
        let allowed = usize::from(breaker.is_half_open);
        assert!(
            probes <= allowed,
            "NEIGHBOUR: {probes} requests of {} leave behind a breaker that is not closed",
            breaker.model
        );
    }

    fn assert_reason(&self, who: usize, model: &str, now: Duration) {
        let of_model = || {
            let mine = self.failures.get(&who).into_iter().flatten();
            mine.filter(|failure| failure.model == model)
        };
        let is_unreachable = of_model()
            .next_back()
            .is_some_and(|failure| failure.is_unreachable);
        let recent = of_model().filter(|failure| failure.at + WINDOW + SLACK >= now);
        let keys: BTreeSet<_> = recent.map(|failure| &failure.key).collect();
        assert!(
            is_unreachable || keys.len() >= MIN_KEYS,
            "NEIGHBOUR: the breaker of {model} opened because of {keys:?} alone"
        );
    }
}
