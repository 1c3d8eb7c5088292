//! The relay as a whole: the store made ready, the threads started, signals heeded, everything stopped in order.
//!
//! ```text
//! thread deliver   Kafka in, engines, requests and batches out
//! thread http      requests out, answers in
//! thread store     the log, the ledger, what is parked
//! thread admin     API, health, metrics
//! thread counts    partitions, which a rate limit is shared by
//! main             waits for the end, or for a signal
//! ```
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use relay_core::settings::Destination;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, mpsc, oneshot};
use tracing::{info, warn};

use crate::admin;
use crate::clock::Clock;
use crate::config::Config;
use crate::deliver::{Deliver, Desk, DeskSettings, Edges, Input};
use crate::http;
use crate::kafka::{self, KafkaFailure, Strays};
use crate::keeper::Keeper;
use crate::metrics::Metrics;
use crate::status::Status;
use crate::store;

/// Inputs that may wait for the loop: answers come in batches.
const INPUTS_WAITING_MAX: usize = 1_024;

/// How the store is made ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Migrations {
    /// A store with pending migrations is refused.
    Require,
    Apply,
}

/// Runs the relay until it is told to stop.
///
/// # Errors
/// When the store is not ready, a thread cannot be started, a consumer fails for good, or the drain takes too long.
pub fn serve(config: &Arc<Config>, migrations: Migrations) -> anyhow::Result<()> {
    let runtime = event_loop()?;
    runtime.block_on(prepare_store(config, migrations))?;
    runtime.block_on(Running::start(config)?.until_the_end(config))
}

fn event_loop() -> anyhow::Result<Runtime> {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot create an event loop")
}

async fn prepare_store(config: &Config, migrations: Migrations) -> anyhow::Result<()> {
    let store = store::open(&config.open_store()).context("cannot open the store")?;
    match migrations {
        Migrations::Require => store.require_migrated().await.map_err(say_how_to_migrate)?,
        Migrations::Apply => {
            for name in store.migrate().await.context("cannot migrate the store")? {
                info!(name, "migration applied");
            }
        }
    }
    store
        .maintain()
        .await
        .context("cannot prepare the partitions of the log")?;
    Ok(())
}

fn say_how_to_migrate(error: store::StoreError) -> anyhow::Error {
    match error {
        store::StoreError::Pending(_) => {
            anyhow!("{error}: run `replicates-relay migrate`, or serve with --migrate")
        }
        other => anyhow!(other).context("cannot use the store"),
    }
}

/// The threads.
struct Running {
    inputs: mpsc::Sender<Input>,
    ended: oneshot::Receiver<Result<(), KafkaFailure>>,
    threads: Vec<JoinHandle<()>>,
    admin: admin::Server,
    status: Status,
    _strays: Strays,
}

impl Running {
    fn start(config: &Arc<Config>) -> anyhow::Result<Self> {
        let clock = Clock::start();
        let status = Status::of_config(config);
        let metrics = Arc::new(Metrics::new(env!("CARGO_PKG_VERSION"), crate::REVISION));
        let admin = admin::Server::start(config.clone(), status.clone(), metrics.clone(), clock)
            .context("cannot start the admin API")?;
        let bell = Arc::new(Notify::new());
        let destinations: Vec<_> = config.destinations.iter().cloned().map(Arc::new).collect();
        let mut desks = vec![];
        for destination in &destinations {
            desks.push(Desk::new(DeskSettings {
                config,
                destination: destination.clone(),
                bell: &bell,
                metrics: &metrics,
            })?);
        }
        let (inputs, arriving) = mpsc::channel(INPUTS_WAITING_MAX);
        let http = http::spawn(inputs.clone()).context("cannot start the thread http")?;
        for (destination, endpoint) in endpoints(&destinations)?.into_iter().enumerate() {
            let endpoint = Box::new(endpoint);
            let serve = http::Message::Serve {
                destination,
                endpoint,
            };
            http.messages()
                .try_send(serve)
                .context("the thread http takes no destination")?;
        }
        let keeper = Keeper {
            store: config.open_store(),
            metrics: metrics.clone(),
            clock,
        };
        let keeper = keeper
            .spawn(inputs.clone())
            .context("cannot start the thread store")?;
        kafka::watch_partitions(&config.kafka, &destinations, inputs.clone())
            .context("cannot start the thread counts")?;
        let edges = Edges {
            inputs: arriving,
            http: http.messages().clone(),
            keeper: keeper.jobs,
            bell,
            clock,
            status: status.clone(),
            metrics,
        };
        let (end, ended) = oneshot::channel();
        let session_timeout = config.kafka.session_timeout;
        let deliver = spawn_deliver(desks, edges, session_timeout, end)?;
        let strays = Strays::watch(&config.kafka, &destinations, &config.relay.name)
            .context("cannot start the thread strays")?;
        Ok(Self {
            inputs,
            ended,
            threads: vec![deliver, keeper.thread],
            admin,
            status,
            _strays: strays,
        })
    }

    /// Waits for the end: a consumer that failed for good, or a signal and the drain that follows it.
    async fn until_the_end(mut self, config: &Config) -> anyhow::Result<()> {
        let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
        for destination in &config.destinations {
            info!(
                destination = &*destination.name,
                url = %destination.route.url,
                "delivering"
            );
        }
        tokio::select! {
            ended = &mut self.ended => self.finish(ended),
            () = either(&mut terminate, &mut interrupt) => self.drain(config.relay.drain_timeout, terminate, interrupt).await,
        }
    }

    async fn drain(
        mut self,
        timeout: Duration,
        mut terminate: Signal,
        mut interrupt: Signal,
    ) -> anyhow::Result<()> {
        info!(
            ?timeout,
            "draining: requests in flight end, then offsets are committed; a second signal aborts"
        );
        self.status.drain();
        if self.inputs.send(Input::Stop).await.is_err() {
            warn!("the loop has ended already");
        }
        tokio::select! {
            ended = &mut self.ended => self.finish(ended),
            () = tokio::time::sleep(timeout) => bail!("the drain took longer than relay.drain_timeout, {timeout:?}; what was in flight is sent again"),
            () = either(&mut terminate, &mut interrupt) => bail!("aborted by a second signal; what was in flight is sent again"),
        }
    }

    fn finish(
        self,
        ended: Result<Result<(), KafkaFailure>, oneshot::error::RecvError>,
    ) -> anyhow::Result<()> {
        let ended = ended.map_err(|_| anyhow!("the delivery loop ended without a word"))?;
        drop(self.inputs);
        if ended.is_ok() {
            for thread in self.threads {
                thread.join().map_err(|_| anyhow!("a thread panicked"))?;
            }
            info!("drained");
        }
        self.admin.stop();
        ended.map_err(Into::into)
    }
}

fn endpoints(destinations: &[Arc<Destination>]) -> anyhow::Result<Vec<http::Endpoint>> {
    let reaches =
        http::Reaches::read().context("cannot read the system's certificate authorities")?;
    let endpoint = |destination: &Arc<Destination>| {
        let reach = reaches.of(destination);
        Ok(http::Endpoint {
            limits: (&**destination).into(),
            reach: reach.with_context(|| format!("cannot use the tls of {}", destination.name))?,
        })
    };
    destinations.iter().map(endpoint).collect()
}

fn spawn_deliver(
    desks: Vec<Desk>,
    edges: Edges,
    session_timeout: Duration,
    end: oneshot::Sender<Result<(), KafkaFailure>>,
) -> anyhow::Result<JoinHandle<()>> {
    let runtime = event_loop()?;
    let thread = std::thread::Builder::new()
        .name("deliver".into())
        .spawn(move || {
            let ended = runtime.block_on(Deliver::new(desks, edges, session_timeout).run());
            // Whoever waited has given up, and the process ends.
            let _ = end.send(ended);
        });
    thread.context("cannot start the thread deliver")
}

async fn either(one: &mut Signal, other: &mut Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}
