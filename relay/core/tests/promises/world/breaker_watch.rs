//! Whether breakers open for a reason, and let through what they may.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use relay_core::engine::view::BreakerView;

use super::endpoint::Meaning;
use super::replica::Rider;
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
    /// Whoever is at fault is among them, if it is not the endpoint.
    keys: BTreeSet<String>,
    is_unreachable: bool,
}

impl BreakerWatch {
    pub fn openings(&self) -> u32 {
        self.openings
    }

    /// A request ended; to be told before the engine is.
    pub fn ended(
        &mut self,
        who: usize,
        model: &str,
        riders: &[Rider],
        meanings: &[Meaning],
        at: Duration,
    ) {
        let failures = self.failures.entry(who).or_default();
        let mut note = |riders: &[Rider]| {
            failures.push(Failure {
                at,
                model: model.to_owned(),
                keys: riders.iter().map(|rider| rider.key.clone()).collect(),
                is_unreachable: meanings.contains(&Meaning::Unreachable),
            });
        };
        if meanings.contains(&Meaning::Unclear) {
            note(riders);
        } else if meanings.contains(&Meaning::Endpoint) || meanings.contains(&Meaning::Unreachable)
        {
            riders.chunks(1).for_each(note);
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
        let failed: Vec<_> = recent.map(|failure| &failure.keys).collect();
        assert!(
            is_unreachable || are_too_many(&failed),
            "NEIGHBOUR: the breaker of {model} opened because of {failed:?} alone"
        );
    }
}

/// Whether no fewer keys than open a breaker can be at fault for these failures: whichever are left out, some request
/// failed without them.
fn are_too_many(failed: &[&BTreeSet<String>]) -> bool {
    let all: BTreeSet<_> = failed.iter().copied().flatten().collect();
    let mut suspects = all
        .iter()
        .enumerate()
        .flat_map(|(at, first)| all.iter().skip(at).map(move |second| [*first, *second]));
    !failed.is_empty()
        && !suspects.any(|pair| {
            let is_explained =
                |keys: &&BTreeSet<String>| pair.iter().any(|key| keys.contains(*key));
            failed.iter().all(is_explained)
        })
}

const _: () = assert!(
    MIN_KEYS == 3,
    "pairs of keys are one fewer than open a breaker"
);
