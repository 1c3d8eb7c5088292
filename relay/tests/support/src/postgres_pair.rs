//! A PostgreSQL server with a standby, both of the test's own, behind one address that moves from the one to the other.

use std::fs::Permissions;
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::database::{number, run};
use crate::port::free_port;
use crate::tcp_proxy::TcpProxy;
use crate::wait::wait_until;

const PATIENCE: Duration = Duration::from_secs(60);

/// What the servers are started with: little memory, and no waiting for a disk that nobody pulls out.
const SETTINGS: &str = "-c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off \
     -c shared_buffers=16MB -c max_connections=60";

/// The standby confirms every commit before the primary does: what was acknowledged survives the primary.
pub struct PostgresPair {
    primary: Server,
    standby: Server,
    cable: TcpProxy,
}

impl PostgresPair {
    /// Starts both; the address leads to the primary.
    pub fn start() -> Self {
        let primary = Server::create();
        primary.start();
        let standby = Server::copy_of(&primary);
        standby.start();
        // Only now: the standby's copy of the settings must not wait for a standby of its own.
        primary.execute("alter system set synchronous_standby_names = '*'");
        primary.execute("select pg_reload_conf()");
        wait_until("the standby confirms commits", PATIENCE, || {
            primary.number("select count(*) from pg_stat_replication where sync_state = 'sync'")
                == 1
        });
        Self {
            cable: TcpProxy::start(primary.address()),
            primary,
            standby,
        }
    }

    /// The database `postgres` at the address.
    pub fn url(&self) -> String {
        self.cable.url(&self.primary.url())
    }

    pub fn primary(&self) -> &Server {
        &self.primary
    }

    pub fn standby(&self) -> &Server {
        &self.standby
    }

    /// The standby becomes a primary.
    pub fn promote(&self) {
        self.standby.pg_ctl(&["promote"]);
    }

    /// Whoever connects from now on reaches the standby; connections that there are stay where they are.
    pub fn move_address(&self) {
        self.cable.lead_to(self.standby.address());
    }
}

/// One of the two; gone with its data when dropped.
pub struct Server {
    data: TempDir,
    port: u16,
}

impl Server {
    fn create() -> Self {
        let server = Self::nowhere();
        let arguments =
            "--username=postgres --auth=trust --encoding=UTF8 --no-sync --no-instructions";
        server.run("initdb", &arguments.split(' ').collect::<Vec<_>>());
        server
    }

    fn copy_of(primary: &Self) -> Self {
        let server = Self::nowhere();
        let port = primary.port.to_string();
        let arguments = ["--write-recovery-conf", "--checkpoint=fast", "--no-sync"];
        let from = ["--host=127.0.0.1", "--username=postgres", "--port", &port];
        server.run("pg_basebackup", &[&arguments[..], &from].concat());
        server
    }

    /// An empty folder, and a port. Root may not run PostgreSQL: the folder is the user's who may, where that user can go.
    fn nowhere() -> Self {
        let data = tempfile::Builder::new()
            .prefix("replicates-to-postgres-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in("/var/tmp")
            .unwrap();
        if is_of_root(data.path()) {
            let (user, group) = postgres_user();
            chown(data.path(), Some(user), Some(group)).unwrap();
        }
        Self {
            data,
            port: free_port(),
        }
    }

    fn start(&self) {
        let settings = format!("-p {} {SETTINGS}", self.port);
        let log = self.log().display().to_string();
        self.pg_ctl(&["start", "-w", "-o", &settings, "-l", &log]);
    }

    /// Falls, without writing anything down.
    pub fn crash(&self) {
        self.pg_ctl(&["stop", "-m", "immediate"]);
    }

    /// Takes no more writes, on connections that there are either; returns when none is under way.
    pub fn make_read_only(&self) {
        self.execute("alter system set default_transaction_read_only = on");
        self.execute("select pg_reload_conf()");
        let writable = "select count(*) from pg_settings where name = 'transaction_read_only' and setting = 'off'";
        let writing = "select count(*) from pg_stat_activity where backend_xid is not null";
        wait_until("no write is under way", PATIENCE, || {
            self.number(writable) == 0 && self.number(writing) == 0
        });
    }

    pub fn url(&self) -> String {
        format!("postgres://postgres@{}/postgres", self.address())
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Runs statements.
    pub fn execute(&self, sql: &str) {
        run(&self.url(), sql).unwrap();
    }

    /// The only value of a query: `select count(*) …`.
    pub fn number(&self, sql: &str) -> i64 {
        number(&self.url(), sql)
    }

    fn pg_ctl(&self, arguments: &[&str]) {
        self.run("pg_ctl", &[&["-s"], arguments].concat());
    }

    /// Runs one of PostgreSQL's programs on the data, as the user whose they are.
    fn run(&self, program: &str, arguments: &[&str]) {
        let program = programs().join(program);
        let mut command = if is_of_root(Path::new("/proc/self")) {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        // A server inherits its starter's output: with a pipe this call would wait for the server's end.
        let errors = tempfile::NamedTempFile::new().unwrap();
        let ended = command
            .args(arguments)
            .arg("-D")
            .arg(self.data.path())
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors.reopen().unwrap())
            .status()
            .unwrap();
        let text = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
        let said = || text(errors.path()) + &text(&self.log());
        assert!(ended.success(), "{command:?}: {ended}: {}", said());
    }

    fn log(&self) -> PathBuf {
        self.data.path().join("server.log")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has fallen already has no such file.
        if self.data.path().join("postmaster.pid").exists() {
            self.crash();
        }
    }
}

/// The folder of `initdb` and `pg_ctl`: the newest of Debian's, or one of the PATH.
fn programs() -> PathBuf {
    let version = |folder: &Path| folder.file_name()?.to_str()?.parse::<u32>().ok();
    let debian = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let folders = debian.map(|entry| entry.unwrap().path());
    match folders.max_by_key(|folder| version(folder)) {
        Some(newest) => newest.join("bin"),
        None => PathBuf::new(),
    }
}

fn is_of_root(path: &Path) -> bool {
    std::fs::metadata(path).unwrap().uid() == 0
}

/// The numbers of the user `postgres` and its group.
fn postgres_user() -> (u32, u32) {
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let line = users
        .lines()
        .find_map(|line| line.strip_prefix("postgres:"));
    let fields: Vec<&str> = line.expect("a user postgres").split(':').collect();
    (fields[1].parse().unwrap(), fields[2].parse().unwrap())
}
