//! Kafka and PostgreSQL of this run's own, which it may stop.

use std::process::Command;
use std::sync::Mutex;
use std::time::Instant;

use relay_test_support::services::root;
use relay_test_support::wait::wait_until;
use serde_json::Value;

use crate::moment::Moment;
use crate::plan::{Outage, Step};

/// Which service was away from when until when, how often so ever.
pub static AWAY: Mutex<Vec<Absence>> = Mutex::new(vec![]);

/// A time at which a service was away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Absence {
    pub service: Service,
    pub began: Moment,
    pub ended: Moment,
}

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    Kafka,
    Postgres,
}

impl Service {
    fn name(self) -> &'static str {
        match self {
            Self::Kafka => "kafka",
            Self::Postgres => "postgres",
        }
    }

    /// Goes down and comes back, as planned, up to the first outage that comes too late. Says how often.
    pub fn suffer(self, steps: &[Step<Outage>], until: Instant) -> usize {
        for (count, step) in steps.iter().enumerate() {
            std::thread::sleep(step.after);
            if Instant::now() > until {
                return count;
            }
            let began = Moment::now();
            self.stop(step.fault.is_crash);
            std::thread::sleep(step.fault.away);
            self.start();
            AWAY.lock().unwrap().push(Absence {
                service: self,
                began,
                ended: Moment::now(),
            });
        }
        steps.len()
    }

    /// Stops it politely and starts it again.
    pub fn restart(self) {
        self.stop(false);
        self.start();
    }

    fn stop(self, is_crash: bool) {
        let what = if is_crash { "crashes" } else { "stops" };
        note(&format!("{} {what}", self.name()));
        if !is_crash {
            return bin_services(&["down", self.name()]);
        }
        let pid = self.pid().expect("it runs");
        // PostgreSQL's way to fall without leaving its children behind, and without writing anything down.
        let signal = match self {
            Self::Kafka => "KILL",
            Self::Postgres => "QUIT",
        };
        let sent = Command::new("sh")
            .args(["-c", &format!("kill -{signal} {pid}")])
            .status();
        assert!(sent.unwrap().success());
        wait_until("the end of the service", crate::PATIENCE, || {
            self.pid().is_none()
        });
    }

    fn start(self) {
        bin_services(&["up", self.name()]);
        note(&format!("{} is back", self.name()));
    }

    fn pid(self) -> Option<u64> {
        let output = Command::new(root().join("bin/services"))
            .args(["status", "--json"])
            .output()
            .unwrap();
        let status: Value = serde_json::from_slice(&output.stdout).unwrap();
        status[self.name()]["pid"].as_u64()
    }
}

fn bin_services(arguments: &[&str]) {
    let output = Command::new(root().join("bin/services"))
        .args(arguments)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "bin/services {arguments:?}: {output:?}"
    );
}

/// Tells what happens, for whoever wonders about a failure.
pub fn note(what: &str) {
    if std::env::var_os("CHAOS_TELL").is_some() {
        eprintln!("{} {what}", Moment::now().0 / 1_000 % 1_000_000);
    }
}
