//! An admin API on a store of its own.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use relay_core::rows::Batch;
use replicates_relay::admin::{Edges, Server};
use replicates_relay::clock::Clock;
use replicates_relay::config::{Config, Environment};
use replicates_relay::current::Current;
use replicates_relay::metrics::Metrics;
use replicates_relay::reload::{Door, Requests};
use replicates_relay::status::Status;
use replicates_relay::store::{self, Store};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// Two roles.
pub const TOKENS: &str = r#"
[admin]
listen = "127.0.0.1:0"
tokens = [
  { name = "grafana", role = "viewer", token = "env:VIEWER" },
  { name = "ops", role = "operator", token = "env:OPERATOR" },
]
"#;

/// Nobody needs a token.
pub const OPEN: &str = "[admin]\nlisten = \"127.0.0.1:0\"\n";

/// Whether a store has its tables before anybody asks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Tables {
    Migrated,
    Missing,
}

pub struct Relay {
    server: Option<Server>,
    pub status: Status,
    pub metrics: Arc<Metrics>,
    pub clock: Clock,
    /// Of the test: the API has its own.
    pub store: Arc<dyn Store>,
    pub runtime: Runtime,
    /// What comes through the door; nobody answers it but the test.
    pub requests: Requests,
    door: Door,
    current: watch::Sender<Arc<Current>>,
    directory: TempDir,
}

/// An answer of the API.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn message(&self) -> String {
        self.json()["error"]["message"].as_str().unwrap().to_owned()
    }
}

impl Relay {
    /// On a migrated `SQLite` store.
    pub fn start(admin: &str) -> Self {
        Self::start_on(None, Tables::Migrated, admin)
    }

    /// On the store of that URL; none: a new `SQLite` file.
    pub fn start_on(store_url: Option<&str>, tables: Tables, admin: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let sqlite = format!("sqlite://{}", directory.path().join("relay.db").display());
        let store_url = store_url.unwrap_or(&sqlite);
        let config = Arc::new(configuration(store_url, admin, ""));
        let status = Status::of_config(&config);
        let metrics = Arc::new(Metrics::new("0.1.0", "abc1234"));
        let clock = Clock::start();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let store = {
            let _inside = runtime.enter();
            store::open(&config.open_store()).unwrap()
        };
        // Before the API opens it: two handles at once must not both make a new file.
        if tables == Tables::Migrated {
            runtime.block_on(async {
                store.migrate().await.unwrap();
                store.maintain().await.unwrap();
            });
        }
        let (current, _) = watch::channel(Arc::new(Current::new(config)));
        let (door, requests) = Door::new();
        let mut relay = Self {
            server: None,
            status,
            metrics,
            clock,
            store,
            runtime,
            requests,
            door,
            current,
            directory,
        };
        relay.server = Some(Server::start(relay.edges()).unwrap());
        relay
    }

    /// What an API is made of.
    pub fn edges(&self) -> Edges {
        let current = self.current.subscribe();
        let store = current.borrow().config.open_store();
        Edges {
            current,
            reload: self.door.clone(),
            store,
            status: self.status.clone(),
            metrics: self.metrics.clone(),
            clock: self.clock,
        }
    }

    /// Another configuration holds from now on: with that `[admin]`, and that added.
    pub fn configure(&self, admin: &str, rest: &str) {
        let url = format!("sqlite://{}", self.sqlite_path().display());
        let config = Arc::new(configuration(&url, admin, rest));
        self.status.configure(&config);
        self.current.send_replace(Arc::new(Current::new(config)));
    }

    pub fn keep(&self, batch: &Batch) {
        self.runtime.block_on(self.store.keep(batch)).unwrap();
    }

    pub fn address(&self) -> std::net::SocketAddr {
        self.server.as_ref().unwrap().address()
    }

    pub fn sqlite_path(&self) -> PathBuf {
        self.directory.path().join("relay.db")
    }

    /// Asks with a GET.
    pub fn read(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], "")
    }

    /// Sends a request with these headers.
    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        Self::ask_at(&self.address().to_string(), method, path, headers, body)
    }

    /// The same of whoever is at an address.
    pub fn ask_at(
        address: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut stream = Self::send_to(address, method, path, headers, body);
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer {
            status,
            head: head.to_lowercase(),
            body: body.to_owned(),
        }
    }

    /// Asks, and leaves it to the caller to wait for the answer.
    pub fn send_to(
        address: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> TcpStream {
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nhost: relay\r\nconnection: close\r\ncontent-length: {}\r\n",
            body.len()
        );
        for (name, value) in headers {
            request.extend([*name, ": ", *value, "\r\n"]);
        }
        request.push_str("\r\n");
        request.push_str(body);
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream
    }

    /// Runs a command of the real binary against this API.
    pub fn command(&self, arguments: &[&str]) -> Output {
        run(&self.address().to_string(), arguments)
    }
}

fn configuration(store_url: &str, admin: &str, rest: &str) -> Config {
    let text = format!(
        "[relay]\nname = \"relay-1\"\n[kafka]\nbrokers = [\"127.0.0.1:1\"]\n\
         [store]\nurl = {store_url:?}\n{admin}\n\
         [destinations.billing]\nurl = \"http://127.0.0.1:1/\"\nretry = {{ max_retries = 7 }}\n\
         [destinations.fleet]\nurl = \"http://127.0.0.1:1/\"\n{rest}"
    );
    let environment = Environment::of([("VIEWER", "viewer-token"), ("OPERATOR", "operator-token")]);
    Config::parse("relay.toml", &text, &environment).unwrap()
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop();
        }
    }
}

/// Runs a command of the real binary against the API at an address.
pub fn run(address: &str, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_replicates-relay"))
        .env_clear()
        .env("RELAY_URL", format!("http://{address}"))
        .args(arguments)
        .output()
        .unwrap()
}

/// What a command printed, and how it ended.
pub fn said(output: &Output) -> (i32, String, String) {
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stdout.clone()).unwrap(),
        String::from_utf8(output.stderr.clone()).unwrap(),
    )
}
