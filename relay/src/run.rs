//! The relay as a whole: the store made ready, the threads started, signals heeded, everything stopped in order.
//!
//! ```text
//! thread deliver   Kafka in, engines, requests and batches out
//! thread http      requests out, answers in
//! thread store     the log, the ledger, what is parked
//! thread admin     API, health, metrics
//! thread counts    partitions, which a rate limit is shared by
//! main             waits for the end or for a signal, and reads the configuration again
//! ```
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

use crate::admin;
use crate::clock::Clock;
use crate::config::Config;
use crate::current::Current;
use crate::deliver::{Deliver, Edges, Input};
use crate::http;
use crate::kafka::{self, KafkaFailure, Strays};
use crate::keeper::Keeper;
use crate::lease::Lease;
use crate::metrics::Metrics;
use crate::reload::{self, Door, Hangup, Reload, Requests, Source, Written};
use crate::status::Status;
use crate::store::{self, Upkeep};

/// How often it is looked whether the file of the configuration has changed.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

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
pub fn serve(source: Source, written: Written, migrations: Migrations) -> anyhow::Result<()> {
    let runtime = event_loop()?;
    let upkeep = runtime.block_on(prepare_store(&written.config, migrations))?;
    runtime.block_on(async {
        let signals = Signals::listen()?;
        let running = Running::start(source, written, &upkeep).await?;
        running.until_the_end(signals).await
    })
}

fn event_loop() -> anyhow::Result<Runtime> {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot create an event loop")
}

async fn prepare_store(config: &Config, migrations: Migrations) -> anyhow::Result<Upkeep> {
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
        .context("cannot prepare the partitions of the log")
}

fn say_how_to_migrate(error: store::StoreError) -> anyhow::Error {
    match error {
        store::StoreError::Pending(_) => {
            anyhow!("{error}: run `replicates-relay migrate`, or serve with --migrate")
        }
        other => anyhow!(other).context("cannot use the store"),
    }
}

/// What people and the system tell the process. It must be listened for before the API says that the relay is ready: a
/// signal that nobody listens for ends the process, also the one that asks for the configuration to be read again.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?,
            interrupt: signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?,
            hangup: signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?,
        })
    }
}

/// The threads.
struct Running {
    config: Arc<Config>,
    reload: Reload,
    requests: Requests,
    inputs: mpsc::Sender<Input>,
    ended: oneshot::Receiver<Result<(), KafkaFailure>>,
    threads: Vec<JoinHandle<()>>,
    admin: admin::Server,
    status: Status,
    _strays: Strays,
}

impl Running {
    async fn start(source: Source, written: Written, upkeep: &Upkeep) -> anyhow::Result<Self> {
        let config = Arc::new(written.config.clone());
        let clock = Clock::start();
        let status = Status::of_config(&config);
        let metrics = Arc::new(Metrics::new(env!("CARGO_PKG_VERSION"), crate::REVISION));
        metrics.upkeep(upkeep);
        let (current, holding) = watch::channel(Arc::new(Current::new(config.clone())));
        let (door, requests) = Door::new();
        let store = config.open_store();
        let longest_retention = store.longest_retention.clone();
        let admin = admin::Server::start(admin::Edges {
            current: holding.clone(),
            reload: door,
            store: store.clone(),
            status: status.clone(),
            metrics: metrics.clone(),
            clock,
        })
        .context("cannot start the admin API")?;
        let bell = Arc::new(Notify::new());
        let (inputs, arriving) = mpsc::channel(INPUTS_WAITING_MAX);
        let lease = Lease::pulsing(clock, kafka::trusted_for(&config.kafka))
            .context("cannot start the thread pulse")?;
        let http =
            http::spawn(inputs.clone(), lease.clone()).context("cannot start the thread http")?;
        let keeper = Keeper {
            store,
            current: holding.clone(),
            metrics: metrics.clone(),
            clock,
        };
        let keeper = keeper
            .spawn(inputs.clone())
            .context("cannot start the thread store")?;
        kafka::watch_partitions(&config.kafka, holding.clone(), inputs.clone())
            .context("cannot start the thread counts")?;
        kafka::watch_policies(&config.kafka, holding.clone(), inputs.clone())
            .context("cannot start the thread policies")?;
        let strays = Strays::watch(&config.kafka, holding, &config.relay.name)
            .context("cannot start the thread strays")?;
        let bounds = kafka::find_bounds(&config.kafka, inputs.clone())
            .context("cannot start the thread bounds")?;
        let edges = Edges {
            inputs: arriving,
            http: http.messages().clone(),
            keeper: keeper.jobs,
            bounds,
            bell: bell.clone(),
            clock,
            lease,
            status: status.clone(),
            metrics: metrics.clone(),
        };
        let (end, ended) = oneshot::channel();
        let deliver = spawn_deliver(edges, end)?;
        let edges = reload::Edges {
            http: http.messages().clone(),
            inputs: inputs.clone(),
            current,
            longest_retention,
            status: status.clone(),
            metrics,
            bell,
            clock,
        };
        let reload = Reload::new(source, &written, edges);
        reload.apply(config.clone()).await?;
        Ok(Self {
            config,
            reload,
            requests,
            inputs,
            ended,
            threads: vec![deliver, keeper.thread],
            admin,
            status,
            _strays: strays,
        })
    }

    /// Waits for the end: a consumer that failed for good, or a signal and the drain that follows it. Reads the
    /// configuration again whenever somebody wants that.
    async fn until_the_end(mut self, signals: Signals) -> anyhow::Result<()> {
        let Signals {
            mut terminate,
            mut interrupt,
            mut hangup,
        } = signals;
        let timeout = self.config.relay.drain_timeout;
        let mut look = interval(LOOK_INTERVAL);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                ended = &mut self.ended => return self.finish(ended),
                () = either(&mut terminate, &mut interrupt) => {
                    return self.drain(timeout, terminate, interrupt).await;
                }
                _ = hangup.recv() => match self.reload.on_hangup() {
                    // What became of it is logged.
                    Hangup::Reloads => drop(self.reload.read("SIGHUP").await),
                    Hangup::Ends => return self.drain(timeout, terminate, interrupt).await,
                },
                Some(request) = self.requests.next() => {
                    // Whoever asked may have gone.
                    let _ = request.send(self.reload.read("the admin API was asked to").await);
                }
                _ = look.tick() => self.reload.look().await,
            }
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
        self.requests.refuse();
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
        mut self,
        ended: Result<Result<(), KafkaFailure>, oneshot::error::RecvError>,
    ) -> anyhow::Result<()> {
        // The API ends when all that it was asked is answered.
        self.requests.refuse();
        let ended = ended.map_err(|_| anyhow!("the delivery loop ended without a word"))?;
        // Whoever waits for its channel to close.
        drop((self.inputs, self.reload));
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

fn spawn_deliver(
    edges: Edges,
    end: oneshot::Sender<Result<(), KafkaFailure>>,
) -> anyhow::Result<JoinHandle<()>> {
    let runtime = event_loop()?;
    let thread = std::thread::Builder::new()
        .name("deliver".into())
        .spawn(move || {
            let ended = runtime.block_on(Deliver::new(edges).run());
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
