//! The relay's configuration: read once, checked whole, every problem told at once.
//!
//! - [`tree`]: what was written, and where; layers laid over each other
//! - [`environment`], [`reference`], [`secret`]: variables, references, and text that is never shown
//! - [`section`]: typed reading, and the words in which wrong values are told
//! - [`difference`], [`restart`], [`shown`]: one configuration beside another, and what cannot change while the relay runs
//! - [`process`], [`kafka`] with its [`properties`], [`store`], [`admin`], [`destination`]: the sections
//!
//! The reference of all keys is `relay.default.toml`, which is compiled in and is the lowest layer.

mod admin;
mod auth;
mod batch;
mod body;
mod classify;
mod destination;
mod difference;
mod egress;
mod environment;
mod headers;
mod kafka;
mod method;
mod policy;
mod problem;
mod process;
mod properties;
mod quantity;
mod reference;
mod restart;
mod route;
mod secret;
mod section;
mod shown;
mod signing;
mod store;
mod tls;
mod tree;
mod url;

use std::cell::RefCell;
use std::fmt::{self, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use relay_core::egress::Loopback;
use relay_core::settings::Destination;
use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};

pub use admin::{Admin, Role, Token};
pub use difference::{Difference, of as differences};
pub use environment::Environment;
pub use kafka::Kafka;
pub use problem::{Place, Problem, Problems};
pub use process::{Format, Log, Relay, Telemetry};
pub use quantity::{format_duration, format_size, parse_duration, parse_size};
pub use secret::Secret;
pub use section::MASK;
pub use store::{Store, StoreKind, StoreUrl};

use crate::store::Open;
use section::{Reading, Section, Visibility};
use tree::{Node, Table, Value};

/// The built-in layer, and the reference for people.
pub const DEFAULTS: &str = include_str!("../relay.default.toml");

/// The most partitions that the log should have: planning a query grows with them.
const PARTITIONS_MAX: u32 = 150;

/// Everything the relay was told, valid as a whole.
#[derive(Clone)]
pub struct Config {
    pub relay: Relay,
    pub kafka: Kafka,
    pub store: Store,
    pub admin: Admin,
    pub log: Log,
    pub telemetry: Telemetry,
    /// Those that deliver, by name.
    pub destinations: Vec<Arc<Destination>>,
    /// Those with `enabled = false`.
    pub disabled_destinations: Vec<Arc<str>>,
    /// Of all destinations: how far ahead the log needs partitions.
    pub longest_retention: Duration,
    shown: Json,
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read {path}: {source}; --config or RELAY_CONFIG names another file")]
    Unreadable {
        path: String,
        source: std::io::Error,
    },
    #[error(transparent)]
    Wrong(#[from] Problems),
}

/// What `dev` puts in the place of a file.
#[derive(Debug, Clone)]
pub struct DevFlags<'a> {
    pub broker_port: u16,
    pub store_url: &'a str,
    pub admin_listen: &'a str,
    /// Names and URLs.
    pub destinations: &'a [(String, String)],
    /// `whsec_…`, for all destinations.
    pub secret: Option<&'a str>,
}

impl Config {
    /// Reads a file, under the overrides of the environment.
    ///
    /// # Errors
    ///
    /// All problems at once.
    pub fn load(path: &Path, environment: &Environment) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
            path: path.display().to_string(),
            source,
        })?;
        Ok(Self::parse(
            &path.display().to_string(),
            &text,
            environment,
        )?)
    }

    /// Reads the text of the file of that name.
    ///
    /// # Errors
    ///
    /// All problems at once.
    pub fn parse(name: &str, text: &str, environment: &Environment) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let mut tree = built_in(&mut problems);
        tree::overlay(&mut tree, file(name, text, &mut problems));
        let overrides = tree::of_environment(environment, &tree, &mut problems);
        tree::overlay(&mut tree, overrides);
        Self::read(&tree, environment, problems)
    }

    /// The configuration of `dev`: its flags, and of a file only `[defaults]` and `[destinations]`.
    ///
    /// # Errors
    ///
    /// All problems at once.
    pub fn for_dev(
        flags: &DevFlags<'_>,
        file_text: Option<(&str, &str)>,
        environment: &Environment,
    ) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let mut tree = built_in(&mut problems);
        if let Some((name, text)) = file_text {
            let mut written = file(name, text, &mut problems);
            written.retain(|key, _| key == "defaults" || key == "destinations");
            tree::overlay(&mut tree, written);
        }
        for layer in flags.layers() {
            tree::overlay(&mut tree, layer);
        }
        let mut config = Self::read(&tree, environment, problems)?;
        // The embedded broker's groups take a session to rebalance; its clients, and mostly its consumers, are on this
        // machine.
        config.kafka.session_timeout = DEV_SESSION_TIMEOUT;
        for destination in &mut config.destinations {
            Arc::make_mut(destination).egress.loopback = Loopback::Always;
        }
        Ok(config)
    }

    fn read(tree: &Table, environment: &Environment, problems: Problems) -> Result<Self, Problems> {
        let reading = Reading {
            environment,
            problems: RefCell::new(problems),
            shown: RefCell::new(Json::Null),
        };
        let config = read_sections(&reading, tree);
        let problems = reading.problems.into_inner();
        match config {
            Some(config) if problems.is_empty() => Ok(Self {
                shown: reading.shown.into_inner(),
                ..config
            }),
            _ => Err(problems.sorted()),
        }
    }

    /// How this replica opens its store.
    pub fn open_store(&self) -> Open {
        Open {
            url: self.store.url.expose().to_owned(),
            connections_max: self.store.connections_max,
            partition_width: self.store.partition_width,
            partitions_ahead: self.store.partitions_ahead,
            longest_retention: self.longest_retention.into(),
            compress: self.log.is_compressed,
            replica: self.relay.name.clone(),
        }
    }

    /// What holds after all layers, secrets masked.
    pub fn effective(&self) -> &Json {
        &self.shown
    }

    /// The same for all that hold the same, secrets apart: 16 hex digits.
    pub fn revision(&self) -> String {
        let digest = Sha256::digest(self.shown.to_string());
        digest[..8].iter().fold(String::new(), |mut hex, byte| {
            // Writing to a string does not fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }

    /// Everything in which another configuration differs that cannot change while the relay runs.
    pub fn restarts_for(&self, next: &Self) -> Problems {
        restart::differences(self, next)
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Config {}", self.shown)
    }
}

/// Below what a real broker allows: the embedded one rebalances only when a session ends.
const DEV_SESSION_TIMEOUT: Duration = Duration::from_secs(3);

fn built_in(problems: &mut Problems) -> Table {
    tree::parse(DEFAULTS, |_| Place::BuiltIn, problems)
}

fn file(name: &str, text: &str, problems: &mut Problems) -> Table {
    let name: Arc<str> = name.into();
    let place = |line| Place::File {
        name: name.clone(),
        line,
    };
    tree::parse(text, place, problems)
}

fn read_sections(reading: &Reading<'_>, tree: &Table) -> Option<Config> {
    let root = Section::new(reading, Vec::new(), tree, Visibility::Shown);
    let relay = Relay::read(&root.section("relay"));
    let kafka = Kafka::read(&root.section("kafka"));
    let store_section = root.section("store");
    let store = Store::read(&store_section);
    let admin = Admin::read(&root.section("admin"));
    let log = Log::read(&root.section("log"));
    let telemetry = Telemetry::read(&root.section("telemetry"));
    let destinations = destination::read_all(reading, &root, tree);
    root.refuse_unknown_keys();
    let (store, destinations) = (store?, destinations?);
    let (retention, path) = &destinations.longest_retention;
    if *retention > store.partition_width.saturating_mul(PARTITIONS_MAX)
        && let Some(node) = store_section.optional("partition_width")
    {
        let longest = format_duration(*retention);
        store_section.refuse::<()>(
            node,
            &format!("at least 1/{PARTITIONS_MAX} of the longest retention ({longest}, {path})"),
        );
    }
    Some(Config {
        relay: relay?,
        kafka: kafka?,
        store,
        admin: admin?,
        log: log?,
        telemetry: telemetry?,
        destinations: destinations.enabled,
        disabled_destinations: destinations.disabled,
        longest_retention: destinations.longest_retention.0,
        shown: Json::Null,
    })
}

impl DevFlags<'_> {
    fn layers(&self) -> Vec<Table> {
        let text = |keys: &[&str], flag: &'static str, value: Value| {
            let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
            let path = keys.join(".");
            let place = Place::Flag(flag);
            tree::nested(&keys, Node { path, place, value })
        };
        let broker = Node {
            path: "kafka.brokers[0]".to_owned(),
            place: Place::Flag("--port"),
            value: Value::Text(format!("127.0.0.1:{}", self.broker_port)),
        };
        let mut layers = vec![
            text(&["kafka", "brokers"], "--port", Value::List(vec![broker])),
            text(
                &["store", "url"],
                "--dir",
                Value::Text(self.store_url.into()),
            ),
            text(
                &["admin", "listen"],
                "--admin",
                Value::Text(self.admin_listen.into()),
            ),
        ];
        for (name, url) in self.destinations {
            let keys = ["destinations", name.as_str(), "url"];
            layers.push(text(&keys, "--destination", Value::Text(url.clone())));
        }
        if let Some(secret) = self.secret {
            let secret = Node {
                path: "signing.secrets[0]".to_owned(),
                place: Place::Flag("--secret"),
                value: Value::Text(secret.into()),
            };
            let keys = ["defaults", "signing", "secrets"];
            layers.push(text(&keys, "--secret", Value::List(vec![secret])));
        }
        layers
    }
}
