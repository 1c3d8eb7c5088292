//! The real relay as a process.

mod config;
pub mod http;
mod older;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub use config::RelayConfig;

use crate::wait::{wait_for, wait_until};

/// How long a relay may take to become ready: a group that lost a member without a name of its own waits for that
/// member's session to run out.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// A started `replicates-relay serve`; killed when dropped.
pub struct RelayProcess {
    binary: PathBuf,
    config: RelayConfig,
    folder: TempDir,
    child: Child,
}

impl RelayProcess {
    /// Starts the relay and does not wait for it. `binary` is `env!("CARGO_BIN_EXE_replicates-relay")` in the relay's
    /// own tests.
    pub fn start(binary: impl AsRef<Path>, config: RelayConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("relay.toml"), config.to_toml()).unwrap();
        let binary = std::path::absolute(binary).unwrap();
        let child = spawn(&binary, folder.path());
        Self {
            binary,
            config,
            folder,
            child,
        }
    }

    /// Starts the relay and waits until it is ready.
    pub fn start_ready(binary: impl AsRef<Path>, config: RelayConfig) -> Self {
        let mut relay = Self::start(binary, config);
        relay.wait_until_ready();
        relay
    }

    /// Waits until `/readyz` answers 200.
    ///
    /// # Panics
    ///
    /// With the relay's output, when it ends meanwhile or takes longer than a minute.
    pub fn wait_until_ready(&mut self) {
        let deadline = Instant::now() + READY_WITHIN;
        while !matches!(self.fetch("/readyz"), Some((200, _))) {
            let ended = self.child.try_wait().unwrap();
            let is_over = ended.is_some() || Instant::now() > deadline;
            assert!(
                !is_over,
                "the relay is not ready, {ended:?}:\n{}",
                self.output()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// kill -9. What it was doing stays half done.
    pub fn kill(&mut self) {
        // One that has ended already cannot be killed, which is as well.
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }

    /// Puts another configuration in the place of its file, as a whole.
    pub fn write_config(&self, config: &RelayConfig) {
        self.write_file(&config.to_toml());
    }

    /// Puts another text in the place of its file.
    pub fn write_file(&self, text: &str) {
        let written = self.folder.path().join("relay.toml.written");
        std::fs::write(&written, text).unwrap();
        std::fs::rename(&written, self.folder.path().join("relay.toml")).unwrap();
    }

    /// Starts it again with the same configuration, hence the same name.
    pub fn restart(&mut self) {
        self.kill();
        self.child = spawn(&self.binary, self.folder.path());
    }

    /// SIGTERM, then waits for the end.
    ///
    /// # Panics
    ///
    /// With the relay's output, when it takes longer than `limit`.
    pub fn terminate(&mut self, limit: Duration) -> ExitStatus {
        self.signal("TERM");
        wait_for("the end of the relay", limit, || {
            self.child.try_wait().unwrap()
        })
    }

    /// Sends a signal by its name: `TERM`, `STOP`, `CONT`.
    pub fn signal(&self, name: &str) {
        let line = format!("kill -{name} {}", self.child.id());
        assert!(
            Command::new("sh")
                .args(["-c", &line])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Waits for an end that comes by itself.
    pub fn wait_for_exit(&mut self, limit: Duration) -> ExitStatus {
        wait_for("the end of the relay", limit, || {
            self.child.try_wait().unwrap()
        })
    }

    /// How it ended, once it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The admin API's address: `http://127.0.0.1:…`.
    pub fn admin_url(&self) -> String {
        format!("http://{}", self.config.admin_address())
    }

    /// The folder of its configuration and output.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// GET; none while nobody answers.
    pub fn fetch(&self, path: &str) -> Option<(u16, String)> {
        http::send(self.config.admin_address(), "GET", path, "")
    }

    /// POST of a JSON text; none while nobody answers.
    pub fn post(&self, path: &str, json: &str) -> Option<(u16, String)> {
        http::send(self.config.admin_address(), "POST", path, json)
    }

    /// Runs a client command against this relay and returns its output, whatever its exit status.
    pub fn command(&self, arguments: &[&str]) -> std::process::Output {
        Command::new(&self.binary)
            .args(arguments)
            .env("RELAY_URL", self.admin_url())
            .output()
            .unwrap()
    }

    /// The value of a metric: `metric("undelivered{destination=\"billing\",state=\"parked\"}")`, without its prefix.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let (_, text) = self.fetch("/metrics")?;
        let line = text.lines().find_map(|line| {
            let rest = line.strip_prefix("replicates_relay_")?.strip_prefix(name)?;
            rest.strip_prefix(' ')
        })?;
        line.parse().ok()
    }

    /// Everything it has printed.
    pub fn output(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("output")).unwrap()
    }

    /// Waits until it has printed this.
    ///
    /// # Panics
    ///
    /// After `limit`, with its output.
    pub fn wait_for_output(&self, text: &str, limit: Duration) {
        wait_until(&format!("{text:?} in the relay's output"), limit, || {
            self.output().contains(text)
        });
    }
}

impl Drop for RelayProcess {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("the relay's output:\n{}", self.output());
        }
    }
}

/// Its output is appended to, so that a restarted one goes on where the killed one stopped.
fn spawn(binary: &Path, folder: &Path) -> Child {
    let path = folder.join("output");
    let output = File::options()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    Command::new(binary)
        .args(["--config", "relay.toml", "serve", "--migrate"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(output.try_clone().unwrap())
        .stderr(output)
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", binary.display()))
}
