//! One relay and what it suffers. Whoever runs relays starts one again that has ended; so does this.

use std::path::Path;
use std::process::ExitStatus;
use std::thread;
use std::time::{Duration, Instant};

use relay_test_support::relay::RelayProcess;
use relay_test_support::wait::wait_until;

use crate::lives::{Death, Lives};
use crate::moment::Moment;
use crate::plan::{RelayFault, Step};
use crate::services::note;
use crate::turns::{Draft, Told, Turn};

/// Where it is asked to read its configuration again.
const RELOAD: &str = "/api/v1/config/reload";

/// How often a relay is looked at, and how long one that ended by itself is left alone.
const LOOK_EVERY: Duration = Duration::from_millis(100);
const REST: Duration = Duration::from_millis(500);

/// A drain may take its `drain_timeout`.
const ENDS_WITHIN: Duration = Duration::from_secs(60);

/// A relay that is looked after.
pub struct Relay<'a> {
    name: &'static str,
    process: RelayProcess,
    draft: Draft,
    lives: &'a Lives,
    was_ready: bool,
    /// How often it was told of another configuration.
    pub turns: usize,
    /// Configurations that it would not take.
    pub refusals: Vec<String>,
}

impl<'a> Relay<'a> {
    pub fn start(binary: &Path, draft: Draft, lives: &'a Lives) -> Self {
        begin_life(lives, &draft);
        Self {
            name: draft.name,
            process: RelayProcess::start(binary, draft.of_turn(&Turn::FIRST)),
            draft,
            lives,
            was_ready: false,
            turns: 0,
            refusals: vec![],
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
                RelayFault::Turn(turn) => self.turn(&turn),
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

    /// Waits until it is ready again and serves everything, whatever it went through.
    pub fn recover(&mut self) {
        let config = self.draft.of_turn(&Turn::FIRST);
        self.process.write_config(&config);
        wait_until("every relay to be ready", ENDS_WITHIN, || {
            self.look_after();
            matches!(self.process.fetch("/readyz"), Some((200, _)))
                && matches!(self.process.post(RELOAD, ""), Some((200, _)))
        });
    }

    /// Puts another configuration in the place of its file, and tells it.
    fn turn(&mut self, turn: &Turn) {
        self.process.write_config(&self.draft.of_turn(turn));
        // Before it listens a signal would end it; one that is down reads the file when it is started.
        self.look_after();
        if !self.was_ready {
            return;
        }
        self.turns += 1;
        match turn.told {
            Told::Signal => self.process.signal("HUP"),
            // It may be ending, and refuse because of that.
            Told::Request => {
                if let Some((422, text)) = self.process.post(RELOAD, "") {
                    self.refusals.push(format!("{}: {text}", self.name));
                }
            }
            Told::File => {}
        }
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
        let said = format!("{} ended by itself, {status}: {last}", self.name);
        let death = if self.was_ready {
            Death::Fell(said)
        } else {
            Death::NeverReady(said)
        };
        note(&format!("{}: {death:?}", self.name));
        self.lives.end(self.name, death);
    }

    fn start_again(&mut self) {
        self.was_ready = false;
        begin_life(self.lives, &self.draft);
        self.process.restart();
    }
}

fn begin_life(lives: &Lives, draft: &Draft) {
    std::fs::write(&draft.life_file, lives.begin(draft.name).to_string()).unwrap();
}
