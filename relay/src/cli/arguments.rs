//! Commands and flags.

use std::path::PathBuf;

use clap::builder::TypedValueParser as _;
use clap::{Args, Parser, Subcommand};

/// Reads records from Kafka and delivers each to its consumer's REST endpoint, in order per key.
#[derive(Debug, Parser)]
#[command(
    name = "replicates-relay",
    disable_version_flag = true,
    disable_help_subcommand = true
)]
pub struct Arguments {
    /// The configuration file [default: ./relay.toml]
    #[arg(long, global = true, env = "RELAY_CONFIG", value_name = "PATH")]
    pub config: Option<PathBuf>,

    /// Print one JSON object; lists: one object per line
    #[arg(long, global = true)]
    pub json: bool,

    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the relay
    Serve {
        /// Apply pending migrations first
        #[arg(long)]
        migrate: bool,
    },
    /// Run the relay with an embedded broker and a store of its own. The broker keeps records in memory: laptops and tests only
    Dev(DevArguments),
    /// Test what the configuration points at; sends no record
    Check(CheckArguments),
    /// Apply the store's migrations
    Migrate(MigrateArguments),
    /// State, lag and undelivered records of each destination; with an action, pause one or let it go on
    Destinations {
        /// Only this one
        name: Option<String>,
        #[arg(value_enum)]
        action: Option<PauseAction>,
        /// Why, for those who wonder; a pause needs one
        #[arg(long, requires = "action", required_if_eq("action", "pause"))]
        reason: Option<String>,
        #[command(flatten)]
        relay: RelayArguments,
    },
    /// Undelivered deliveries; with an ID one of them and its attempts
    Failures {
        /// dlv_…
        #[arg(conflicts_with_all = ["destination", "model", "key", "state", "error_class", "status", "since", "until", "limit"])]
        id: Option<String>,
        #[command(flatten)]
        filters: FailureFilters,
        #[command(flatten)]
        relay: RelayArguments,
    },
    /// Send undelivered deliveries again, with a fresh budget
    Retry {
        /// dlv_…
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
        #[command(flatten)]
        relay: RelayArguments,
    },
    /// The last 10 attempts
    Tail {
        #[command(flatten)]
        filters: AttemptFilters,
        #[command(flatten)]
        relay: RelayArguments,
    },
    /// What the configuration of --config would change for a running relay: settings, and the requests of its last records. Sends nothing
    Plan {
        #[command(flatten)]
        flags: PlanArguments,
        #[command(flatten)]
        relay: RelayArguments,
    },
    /// Print the configuration
    Config {
        /// The built-in defaults: the reference of all keys
        #[arg(long)]
        defaults: bool,
        /// What holds after file and environment, redacted (the default)
        #[arg(long, conflicts_with = "defaults")]
        effective: bool,
    },
    /// Print the version
    Version,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum PauseAction {
    /// Send nothing until it is resumed, on all replicas; its records wait in Kafka
    Pause,
    /// Go on
    Resume,
}

#[derive(Debug, Args)]
pub struct DevArguments {
    /// A destination and its URL; may be repeated
    #[arg(long = "destination", value_name = "NAME=URL", value_parser = name_and_url)]
    pub destinations: Vec<(String, String)>,
    /// Where the embedded broker listens
    #[arg(long, default_value_t = 9092, value_parser = clap::value_parser!(u16).range(1..))]
    pub port: u16,
    /// Where API, health and metrics listen
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub admin: String,
    /// Where the log and the ledger are kept
    #[arg(long, default_value = ".replicates-relay")]
    pub dir: PathBuf,
    /// Keep nothing on disk
    #[arg(long, conflicts_with = "dir")]
    pub ephemeral: bool,
    /// Sign requests to all destinations: whsec_…
    #[arg(long, value_name = "WHSEC")]
    pub secret: Option<String>,
}

#[derive(Debug, Args)]
pub struct CheckArguments {
    /// Create missing topics, with the broker's default number of partitions
    #[arg(long, conflicts_with = "offline")]
    pub create_topics: bool,
    /// Only what needs no network
    #[arg(long)]
    pub offline: bool,
}

#[derive(Debug, Args)]
pub struct MigrateArguments {
    /// Show what would be applied
    #[arg(long, conflicts_with = "status")]
    pub dry_run: bool,
    /// Show all migrations and when they were applied
    #[arg(long)]
    pub status: bool,
}

#[derive(Debug, Args)]
pub struct PlanArguments {
    /// Only this one
    #[arg(long, value_name = "NAME")]
    pub destination: Option<String>,
    /// The last so many records of each destination
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000).map(usize::from))]
    pub records: usize,
    /// Exit with 1 when something changes
    #[arg(long)]
    pub exit_code: bool,
}

/// Where the running relay is.
#[derive(Debug, Args)]
pub struct RelayArguments {
    /// The relay's admin API
    #[arg(long, env = "RELAY_URL", default_value = "http://127.0.0.1:8080")]
    pub url: String,
    /// A token of admin.tokens
    #[arg(long, env = "RELAY_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
}

#[derive(Debug, Args)]
pub struct FailureFilters {
    #[arg(long)]
    pub destination: Option<String>,
    #[arg(long)]
    pub model: Option<String>,
    #[arg(long)]
    pub key: Option<String>,
    /// parked, exhausted, rejected or quarantined
    #[arg(long)]
    pub state: Option<String>,
    #[arg(long)]
    pub error_class: Option<String>,
    #[arg(long)]
    pub status: Option<String>,
    /// Last failed since: an RFC 3339 time, or how long ago, like 1h
    #[arg(long)]
    pub since: Option<String>,
    /// Last failed before
    #[arg(long)]
    pub until: Option<String>,
    /// At most so many [default: 50]
    #[arg(long)]
    pub limit: Option<u32>,
}

#[derive(Debug, Args)]
pub struct AttemptFilters {
    #[arg(long)]
    pub destination: Option<String>,
    #[arg(long)]
    pub model: Option<String>,
    #[arg(long)]
    pub key: Option<String>,
    /// delivered, stale, superseded, retryable, rejected, quarantined or discarded
    #[arg(long)]
    pub outcome: Option<String>,
    #[arg(long)]
    pub error_class: Option<String>,
    #[arg(long)]
    pub status: Option<String>,
    /// Attempted since: an RFC 3339 time, or how long ago, like 1h (the default)
    #[arg(long)]
    pub since: Option<String>,
    /// Attempted before
    #[arg(long)]
    pub until: Option<String>,
}

fn name_and_url(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, url)) if !name.is_empty() && !url.is_empty() => {
            Ok((name.to_owned(), url.to_owned()))
        }
        _ => Err("must be NAME=URL".to_owned()),
    }
}
