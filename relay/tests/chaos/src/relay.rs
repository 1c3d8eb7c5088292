//! One relay and what it suffers. Whoever runs relays starts one again that has ended; so does this.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::thread;
use std::time::{Duration, Instant};

use relay_test_support::relay::{RelayConfig, RelayProcess};
use relay_test_support::wait::wait_until;

use crate::lives::{Death, Lives};
use crate::moment::Moment;
use crate::plan::{RelayFault, Step};
use crate::services::note;

/// How often a relay is looked at, and how long one that ended by itself is left alone.
const LOOK_EVERY: Duration = Duration::from_millis(100);
const REST: Duration = Duration::from_millis(500);

/// A drain may take its `drain_timeout`.
const ENDS_WITHIN: Duration = Duration::from_secs(60);

/// What one says that an outage ended.
const OUTAGE: [&str; 2] = [
    "two replicas must not share relay.name",
    "the drain took longer than relay.drain_timeout",
];

/// A relay that is looked after.
pub struct Relay<'a> {
    name: &'static str,
    process: RelayProcess,
    lives: &'a Lives,
    life_file: PathBuf,
    was_ready: bool,
}

impl<'a> Relay<'a> {
    /// Starts it. `folder` holds the file by which its requests say which life they are of.
    pub fn start(
        name: &'static str,
        binary: &Path,
        config: RelayConfig,
        folder: &Path,
        lives: &'a Lives,
    ) -> Self {
        let life_file = life_file(folder, name);
        begin_life(lives, name, &life_file);
        Self {
            name,
            process: RelayProcess::start(binary, config),
            lives,
            life_file,
            was_ready: false,
        }
    }

    /// Lives through its track, up to the first fault that comes too late.
    pub fn suffer(&mut self, steps: &[Step<RelayFault>], until: Instant) {
        for step in steps {
            self.live_for(step.after);
            if Instant::now() > until {
                return;
            }
            note(&format!("{}: {:?}", self.name, step.fault));
            match step.fault {
                RelayFault::Kill(away) => {
                    self.process.kill();
                    self.lives.end(self.name, Death::Killed);
                    thread::sleep(away);
                    self.start_again();
                }
                RelayFault::Stop(away) => {
                    self.stop();
                    thread::sleep(away);
                    self.start_again();
                }
                RelayFault::Freeze(long) => self.freeze(long),
            }
        }
    }

    fn live_for(&mut self, long: Duration) {
        let until = Instant::now() + long;
        self.live_until(|| Instant::now() >= until);
    }

    /// Looks after it until then.
    pub fn live_until(&mut self, is_over: impl Fn() -> bool) {
        while !is_over() {
            self.look_after();
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Waits until it is ready again, whatever it went through.
    pub fn recover(&mut self) {
        wait_until("every relay to be ready", ENDS_WITHIN, || {
            self.look_after();
            matches!(self.process.fetch("/readyz"), Some((200, _)))
        });
    }

    /// SIGTERM, and what it says at its end.
    pub fn stop(&mut self) {
        if let Some(status) = self.process.ended() {
            return self.note_end(status);
        }
        let is_ready = self.is_ready();
        let status = self.process.terminate(ENDS_WITHIN);
        if status.success() || !is_ready {
            self.lives.end(self.name, Death::Stopped);
        } else {
            self.note_end(status);
        }
    }

    /// POST to its admin API, which may refuse.
    pub fn post(&self, path: &str) {
        self.process.post(path, "");
    }

    pub fn output(&self) -> String {
        self.process.output()
    }

    pub fn name(&self) -> &'static str {
        self.name
    }

    fn freeze(&mut self, long: Duration) {
        let began = Moment::now();
        if self.process.ended().is_none() {
            self.process.signal("STOP");
            thread::sleep(long);
            self.process.signal("CONT");
        }
        self.lives.note_freeze(self.name, began);
    }

    fn look_after(&mut self) {
        self.was_ready = self.is_ready();
        if let Some(status) = self.process.ended() {
            self.note_end(status);
            thread::sleep(REST);
            self.start_again();
        }
    }

    fn is_ready(&self) -> bool {
        self.was_ready || matches!(self.process.fetch("/readyz"), Some((200, _)))
    }

    fn note_end(&mut self, status: ExitStatus) {
        let output = self.process.output();
        let last = output.lines().last().unwrap_or_default();
        let death = match self.was_ready {
            false => Death::NeverReady,
            true if OUTAGE.iter().any(|words| last.contains(words)) => Death::Outage,
            true => Death::Fell(format!("{} ended by itself, {status}: {last}", self.name)),
        };
        note(&format!("{}: {death:?}", self.name));
        self.lives.end(self.name, death);
    }

    fn start_again(&mut self) {
        self.was_ready = false;
        begin_life(self.lives, self.name, &self.life_file);
        self.process.restart();
    }
}

/// The file from which a relay reads what its requests say in `x-life`.
pub fn life_file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.life"))
}

fn begin_life(lives: &Lives, name: &str, file: &Path) {
    std::fs::write(file, lives.begin(name).to_string()).unwrap();
}
