//! A database for each test, gone after it.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use replicates_relay::store::{self, Open, Store};
use sqlx::{Connection, Executor, PgConnection, Row, SqliteConnection};

use crate::rows::now;

/// A database, and how its store is opened.
pub struct Database {
    pub open: Open,
    place: Place,
}

enum Place {
    Postgres { server: String, name: String },
    Sqlite { _directory: tempfile::TempDir },
    Memory,
}

impl Database {
    /// An empty database on the server of the tests.
    pub async fn postgres() -> Self {
        let server = server_url();
        let name = unique_name();
        let mut connection = PgConnection::connect(&server)
            .await
            .unwrap_or_else(|e| panic!("no PostgreSQL at {server}: {e}; run bin/services up"));
        connection
            .execute(format!("create database {name}").as_str())
            .await
            .unwrap();
        let (base, _) = server.rsplit_once('/').unwrap();
        Self {
            open: settings(format!("{base}/{name}")),
            place: Place::Postgres { server, name },
        }
    }

    /// An empty file.
    pub fn sqlite() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("relay.db");
        Self {
            open: settings(format!("sqlite://{}", path.display())),
            place: Place::Sqlite {
                _directory: directory,
            },
        }
    }

    /// An empty database in memory, which all handles of this process share.
    pub fn in_memory() -> Self {
        Self {
            open: settings(format!("sqlite://{}?mode=memory", unique_name())),
            place: Place::Memory,
        }
    }

    /// The same with its tables, and partitions for what the settings ask.
    pub async fn migrated(self) -> Self {
        let store = self.store();
        store.migrate().await.unwrap();
        store.maintain().await.unwrap();
        self
    }

    /// A handle for the current runtime.
    pub fn store(&self) -> Arc<dyn Store> {
        store::open(&self.open).unwrap()
    }

    /// Runs statements beside the store.
    pub async fn execute(&self, sql: &str) {
        match &self.place {
            Place::Postgres { .. } => {
                self.connect().await.execute(sql).await.unwrap();
            }
            Place::Sqlite { .. } | Place::Memory => {
                let mut connection = SqliteConnection::connect(&self.sqlite_uri()).await.unwrap();
                connection.execute(sql).await.unwrap();
            }
        }
    }

    /// A number that a query answers.
    pub async fn number(&self, sql: &str) -> i64 {
        match &self.place {
            Place::Postgres { .. } => {
                let row = self.connect().await.fetch_one(sql).await.unwrap();
                row.get_unchecked::<String, _>(0).parse().unwrap()
            }
            Place::Sqlite { .. } | Place::Memory => {
                let mut connection = SqliteConnection::connect(&self.sqlite_uri()).await.unwrap();
                connection.fetch_one(sql).await.unwrap().get(0)
            }
        }
    }

    /// As `SQLite` itself names it, without the store's help.
    fn sqlite_uri(&self) -> String {
        match self.place {
            Place::Memory => self.open.url.replace("sqlite://", "sqlite://file:"),
            _ => self.open.url.clone(),
        }
    }

    /// A Postgres connection of the test's own.
    pub async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.open.url).await.unwrap()
    }

    pub fn is_postgres(&self) -> bool {
        matches!(self.place, Place::Postgres { .. })
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let Place::Postgres { server, name } = &self.place else {
            return;
        };
        let (server, name) = (server.clone(), name.clone());
        // A runtime of its own: the test's may be unwinding.
        let dropping = std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap()
                .block_on(async {
                    let mut connection = PgConnection::connect(&server).await.unwrap();
                    connection
                        .execute(format!("drop database {name} with (force)").as_str())
                        .await
                        .unwrap();
                });
        });
        let dropped = dropping.join();
        // A test that has failed already says more than this would.
        if !std::thread::panicking() {
            dropped.expect("the test's database is dropped");
        }
    }
}

pub fn settings(url: String) -> Open {
    Open {
        url,
        connections_max: 4,
        partition_width: Duration::from_secs(3_600),
        partitions_ahead: 2,
        longest_retention: Duration::from_secs(6 * 3_600).into(),
        compress: true,
        replica: "relay-1".into(),
    }
}

fn unique_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let started = now().as_microsecond();
    format!(
        "relay_store_{}_{started}_{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}

#[expect(
    clippy::disallowed_methods,
    reason = "a switch of the tests, not a setting of the relay"
)]
fn server_url() -> String {
    if let Ok(url) = std::env::var("RELAY_TEST_POSTGRES") {
        return url;
    }
    let services = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bin/services");
    let output = Command::new(&services)
        .args(["status", "--json"])
        .output()
        .unwrap_or_else(|e| panic!("{} does not run: {e}", services.display()));
    let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let postgres = &status["postgres"];
    assert_eq!(
        postgres["running"], true,
        "PostgreSQL is not running: run bin/services up, or set RELAY_TEST_POSTGRES"
    );
    postgres["url"].as_str().unwrap().to_owned()
}
