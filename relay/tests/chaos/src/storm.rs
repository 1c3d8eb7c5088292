//! While everything goes wrong: all tracks of the plan side by side, the writers, and the watch over commits.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use relay_test_support::services::services;

use crate::destination::Destination;
use crate::plan::Plan;
use crate::relay::Relay;
use crate::report::Report;
use crate::services::Service;
use crate::stage::Stage;
use crate::topics::Topics;
use crate::watch::Watch;
use crate::writer::{SOURCE, Writer};

/// Who takes part.
pub struct Storm<'a, 'b> {
    pub plan: &'a Plan,
    pub lasting: Duration,
    pub relays: &'a mut [Relay<'b>],
    pub destinations: &'a mut [Destination],
    pub report: &'a mut Report,
}

impl Storm<'_, '_> {
    /// Begins, and is over when everything works again and nothing more is written.
    pub fn pass(&mut self, stage: &Stage, topics: &mut Topics, watch: &mut Watch) {
        let [are_writers_over, is_watch_over] = [const { AtomicBool::new(false) }; 2];
        let topic = |destination: &str, model: &str| stage.scene.topic(SOURCE, destination, model);
        let writer = Writer {
            seed: stage.seed,
            brokers: &services().brokers,
            topic: &topic,
            version: &AtomicU64::new(0),
            is_over: &are_writers_over,
        };
        let admins: Vec<_> = stage
            .drafts
            .iter()
            .map(|draft| draft.base.admin_address())
            .collect();
        thread::scope(|scope| {
            let plain = scope.spawn(|| writer.write());
            let transactions = scope.spawn(|| writer.write_in_transactions());
            let watching =
                scope.spawn(|| watch.go_on(topics, &stage.scene.database, &is_watch_over));
            self.suffer(&admins);
            are_writers_over.store(true, Ordering::Relaxed);
            let aborted = transactions.join().unwrap();
            plain.join().unwrap();
            is_watch_over.store(true, Ordering::Relaxed);
            watching.join().unwrap();
            self.report
                .counts
                .push(format!("transactions aborted {aborted}"));
        });
    }

    /// All tracks. The relays are looked after until the last of the other faults is over.
    fn suffer(&mut self, admins: &[SocketAddr]) {
        let Self {
            plan,
            lasting,
            relays,
            destinations,
            report,
        } = self;
        let until = Instant::now() + *lasting;
        let are_faults_over = &AtomicBool::new(false);
        let consumers: Vec<_> = destinations
            .iter()
            .map(|destination| destination.consumer.clone())
            .collect();
        thread::scope(|scope| {
            let kafka = scope.spawn(|| Service::Kafka.suffer(&plan.kafka, until));
            let postgres = scope.spawn(|| Service::Postgres.suffer(&plan.postgres, until));
            let mut troubles = vec![];
            for (destination, steps) in destinations.iter_mut().zip(&plan.destinations) {
                troubles.push(scope.spawn(move || destination.suffer(steps, until, admins)));
            }
            let mut lives = vec![];
            for (relay, steps) in relays.iter_mut().zip(&plan.relays) {
                lives.push(scope.spawn(move || {
                    relay.suffer(steps, until);
                    relay.live_until(|| are_faults_over.load(Ordering::Relaxed));
                    relay.recover();
                    0
                }));
            }
            thread::sleep(*lasting);
            let mut join = |track: ScopedJoinHandle<'_, usize>| {
                track.join().unwrap_or_else(|_| {
                    let failure = "a track of the plan did not come to its end";
                    report.failures.push(failure.to_owned());
                    0
                })
            };
            let outages = (join(kafka), join(postgres));
            let troubles: usize = troubles.into_iter().map(&mut join).sum();
            for consumer in consumers {
                consumer.recover();
            }
            are_faults_over.store(true, Ordering::Relaxed);
            for life in lives {
                join(life);
            }
            report.counts.push(format!(
                "kafka restarts {} postgres restarts {} endpoint troubles {troubles}",
                outages.0, outages.1
            ));
        });
    }
}
