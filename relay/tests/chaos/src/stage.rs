//! One run: the scene, everything that happens on it, and what is found afterwards.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::time::Duration;

use relay_test_support::relay::RelayConfig;
use relay_test_support::scene::Scene;
use relay_test_support::services::services;
use relay_test_support::wait::wait_until;
use tempfile::TempDir;

use crate::PATIENCE;
use crate::checks::{attempts, drained, ends, enough, lost, order, rows};
use crate::destination::Destination;
use crate::eras::Eras;
use crate::evidence::{Evidence, Sent, logged, undelivered};
use crate::lives::{Death, Life, Lives};
use crate::moment::Anchor;
use crate::plan::{DESTINATIONS, Plan, RELAYS, SESSION};
use crate::relay::Relay;
use crate::report::Report;
use crate::services::{AWAY, Service};
use crate::storm::Storm;
use crate::topics::Topics;
use crate::turns::Draft;
use crate::watch::Watch;
use crate::writer::{MODELS, SOURCE};

const PARTITIONS: i32 = 4;

/// Everything that a run needs, before it begins.
pub struct Stage {
    pub seed: u64,
    anchor: Anchor,
    pub scene: Scene,
    /// Where the relays read which life they are of.
    _folder: TempDir,
    destinations: Vec<Destination>,
    pub drafts: Vec<Draft>,
}

impl Stage {
    /// A scene with topics, endpoints, and a configuration for each relay.
    pub fn set(seed: u64) -> Self {
        let scene = Scene::new();
        // When a row was committed is then known to the microsecond; PostgreSQL asks for a restart.
        scene
            .database
            .execute("alter system set track_commit_timestamp = on");
        Service::Postgres.restart();
        for destination in DESTINATIONS {
            for model in MODELS {
                scene.create_topic(SOURCE, destination, model, PARTITIONS);
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let destinations: Vec<_> = DESTINATIONS
            .iter()
            .map(|name| Destination::new(name, seed))
            .collect();
        let draft = |name: &&'static str| Draft {
            name,
            base: RelayConfig::new(&scene)
                .replica(name)
                .relay("drain_timeout = \"20s\"")
                .kafka(&format!("session_timeout = \"{}s\"", SESSION.as_secs())),
            urls: destinations
                .iter()
                .map(|destination| destination.endpoint.url())
                .collect(),
            life_file: folder.path().join(format!("{name}.life")),
        };
        let drafts = RELAYS.iter().map(draft).collect();
        Self {
            seed,
            anchor: Anchor::now(),
            scene,
            _folder: folder,
            destinations,
            drafts,
        }
    }

    /// Lets everything happen for so long, then lets it end well, and looks at what came out.
    pub fn play(mut self, lasting: Duration) -> Report {
        let plan = Plan::draw(self.seed, lasting);
        let (lives, mut watch, mut topics) = (Lives::default(), Watch::default(), self.topics());
        let mut destinations = std::mem::take(&mut self.destinations);
        let mut relays = self.start_relays(&lives);
        let mut report = Report::default();
        let mut storm = Storm {
            plan: &plan,
            lasting,
            relays: &mut relays,
            destinations: &mut destinations,
            report: &mut report,
        };
        storm.pass(&self, &mut topics, &mut watch);

        let turns: usize = relays.iter().map(|relay| relay.turns).sum();
        report
            .counts
            .push(format!("configurations read again {turns}"));
        let mut evidence = Evidence::default();
        let is_calm = self.wait_for_calm(&mut topics, &mut watch, &mut report);
        evidence.take_published(&topics.published);
        self.gather(&mut evidence, &lives, &relays, &destinations);
        report.lost = lost::lost(&evidence);
        report.attempts = attempts::miscounted(&evidence);
        if is_calm {
            self.deliver_failures(&evidence, &relays, &destinations, &mut report);
        }
        for relay in &mut relays {
            relay.stop();
            report.failures.append(&mut relay.refusals);
        }

        self.gather(&mut evidence, &lives, &relays, &destinations);
        for destination in &destinations {
            let (name, rows) = (destination.name, destination.consumer.rows());
            let wrong = rows::wrong_rows(name, &evidence.published, &rows);
            report.rows.extend(wrong);
            report.rows.extend(destination.consumer.wrong());
        }
        judge(&evidence, watch, lasting, &mut report);
        if !report.is_good() {
            keep_outputs(&relays);
        }
        report
    }

    /// Everything that is known by now, but what was published.
    fn gather(
        &self,
        evidence: &mut Evidence,
        lives: &Lives,
        relays: &[Relay<'_>],
        destinations: &[Destination],
    ) {
        evidence.logged = logged(&self.scene.database);
        evidence.undelivered = undelivered(&self.scene.database);
        evidence.lives = lives.all();
        evidence.away.clone_from(&AWAY.lock().unwrap());
        evidence.eras = Eras::default();
        for relay in relays {
            evidence.eras.read(relay.name(), &relay.output());
        }
        evidence.sent.clear();
        for destination in destinations {
            let exchanges = destination.endpoint.exchanges();
            for exchange in &exchanges {
                let sent = Sent::all_of(destination.name, exchange, &self.anchor);
                evidence.sent.extend(sent);
            }
        }
        evidence.number_attempts();
    }

    fn topics(&self) -> Topics {
        let mut destinations = HashMap::new();
        for destination in DESTINATIONS {
            for model in MODELS {
                destinations.insert(self.scene.topic(SOURCE, destination, model), destination);
            }
        }
        let groups: Vec<_> = DESTINATIONS
            .iter()
            .map(|name| (*name, self.scene.group(name)))
            .collect();
        Topics::new(&services().brokers, destinations, &groups, PARTITIONS)
    }

    fn start_relays<'a>(&self, lives: &'a Lives) -> Vec<Relay<'a>> {
        let binary = binary();
        let start = |draft: &Draft| {
            let mut relay = Relay::start(&binary, draft.clone(), lives);
            relay.recover();
            relay
        };
        self.drafts.iter().map(start).collect()
    }

    /// Waits until every offset is committed and nothing waits for a retry. What waits for a person may.
    fn wait_for_calm(&self, topics: &mut Topics, watch: &mut Watch, report: &mut Report) -> bool {
        let waiting = "select count(*) from parked where state = 'parked'";
        let is_calm = holds_within(PATIENCE, || {
            let committed = watch.look(topics, &self.scene.database);
            committed.is_some_and(|committed| topics.are_done(&committed))
                && self.scene.database.number(waiting) == 0
        });
        if !is_calm {
            let number = |sql| self.scene.database.number(sql);
            report.failures.push(format!(
                "stuck: {} records wait for a retry, and {:?} is committed of {} records",
                number(waiting),
                topics.committed(),
                topics.published.len()
            ));
        }
        is_calm
    }

    /// The consumers take everything now, and a person has every failure tried again: nothing may be left.
    fn deliver_failures(
        &self,
        evidence: &Evidence,
        relays: &[Relay<'_>],
        destinations: &[Destination],
        report: &mut Report,
    ) {
        for destination in destinations {
            destination.cure();
        }
        for row in &evidence.undelivered {
            // An older version of a key may have been superseded by then, and cannot be retried; what is left is counted.
            relays[0].post(&format!("/api/v1/deliveries/{}/retry", row.id));
        }
        let left = || self.scene.database.number("select count(*) from parked");
        if !holds_within(PATIENCE, || left() == 0) {
            report.failures.push(format!(
                "{} records could not be delivered after all",
                left()
            ));
        }
        report.counts.push(format!(
            "failures for a person {}, delivered after all",
            evidence.undelivered.len()
        ));
    }
}

/// The checks that want everything to be over, and the counts.
fn judge(evidence: &Evidence, watch: Watch, lasting: Duration, report: &mut Report) {
    report.rows.extend(rows::never_published(evidence));
    report.order = order::too_old(evidence);
    report.order.extend(order::overlapping(evidence));
    report.order.extend(drained::under_way(evidence));
    let (repeats, wrong) = attempts::repeated(evidence);
    report.attempts.extend(wrong);
    report.attempts.extend(attempts::unlogged(evidence));
    report.failures.extend(ends::unexplained(evidence));
    report
        .failures
        .extend(enough::too_little(evidence, lasting));
    report.counts.extend([
        count_lives(&evidence.lives),
        count_requests(evidence, repeats),
        format!(
            "rebalances {} partitions lost without a drain {}",
            evidence.eras.rebalances(),
            evidence.eras.losses()
        ),
        format!(
            "commits explained {} in {} looks",
            watch.explained, watch.looks
        ),
        format!(
            "requests of a relay that could not hear of its loss {}",
            evidence
                .sent
                .iter()
                .filter(|sent| evidence.was_deaf(sent))
                .count()
        ),
    ]);
    report.offsets = watch.unexplained;
}

/// What was sent.
fn count_requests(evidence: &Evidence, repeats: usize) -> String {
    let name = |sent: &Sent| (sent.destination, sent.arrived);
    let requests: HashSet<_> = evidence.sent.iter().map(name).collect();
    let together = evidence.sent.iter().filter(|sent| sent.company > 1);
    let batches: HashSet<_> = together.map(name).collect();
    format!(
        "records {} requests {} batches {} sent again by another life {repeats}",
        evidence.published.len(),
        requests.len(),
        batches.len()
    )
}

/// What the relays went through.
fn count_lives(lives: &[Life]) -> String {
    let ended = |is_wanted: fn(&Death) -> bool| {
        let deaths = lives.iter().filter_map(|life| life.end.as_ref());
        deaths.filter(|(_, death)| is_wanted(death)).count()
    };
    let freezes: usize = lives.iter().map(|life| life.freezes.len()).sum();
    format!(
        "kills {} stops {} freezes {freezes} ended by an outage {} starts in one {}",
        ended(|death| *death == Death::Killed),
        // The last stop of each is no fault.
        ended(|death| *death == Death::Stopped) - RELAYS.len(),
        ended(|death| matches!(death, Death::Fell(_))),
        ended(|death| matches!(death, Death::NeverReady(_)))
    )
}

/// Waits for a condition; false when it does not hold in time.
fn holds_within(limit: Duration, condition: impl FnMut() -> bool) -> bool {
    let wait = std::panic::AssertUnwindSafe(|| wait_until("calm", limit, condition));
    std::panic::catch_unwind(wait).is_ok()
}

/// The relay that was built beside this program.
fn binary() -> PathBuf {
    std::env::current_exe()
        .unwrap()
        .with_file_name("replicates-relay")
}

/// What the relays printed, for whoever looks for the reason.
fn keep_outputs(relays: &[Relay<'_>]) {
    for relay in relays {
        let path = std::env::temp_dir().join(format!("chaos-{}.log", relay.name()));
        if std::fs::write(&path, relay.output()).is_ok() {
            println!("chaos: {} printed {}", relay.name(), path.display());
        }
    }
}
