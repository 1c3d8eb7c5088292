//! The admin API: what people, the command line and the gem ask a running relay. On a thread of its own, so that a busy
//! relay still answers.
//!
//! | route | role | |
//! |---|---|---|
//! | `GET /api/v1/destinations`, `/destinations/{name}` | viewer | [`destinations`] |
//! | `POST /api/v1/destinations/{name}/pause`, `/resume` | operator | [`pause`] |
//! | `GET /api/v1/deliveries`, `/deliveries/{id}`, `/deliveries/{id}/attempts` | viewer | [`deliveries`] |
//! | `POST /api/v1/deliveries/{id}/retry` | operator | [`retry`] |
//! | `GET /api/v1/attempts` | viewer | [`attempts`] |
//! | `GET /api/v1/config` | viewer | [`config`] |
//! | `POST /api/v1/config/reload` | operator | [`config`] |
//! | `GET /healthz`, `/readyz`, `/metrics` | no token | [`health`] |
//!
//! [`access`] asks for the token, [`parameters`] reads queries, [`once`] does a repeated write once, [`answer`] has the one
//! shape of errors, [`shape`] the JSON of deliveries and attempts.
mod access;
mod answer;
mod attempts;
mod config;
mod deliveries;
mod destinations;
mod health;
mod once;
mod parameters;
mod pause;
mod retry;
mod shape;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;

use axum::Router;
use axum::routing::{get, post};
use tokio::sync::oneshot;

use crate::clock::Clock;
use crate::config::Config;
use crate::current::Reader;
use crate::metrics::Metrics;
use crate::reload::Door;
use crate::status::Status;
use crate::store::{self, Open, Store, StoreError};

/// People ask little: the log keeps most of the connections.
const CONNECTIONS_MAX: u32 = 4;

/// What the handlers share.
pub(crate) struct Context {
    current: Reader,
    reload: Door,
    status: Status,
    metrics: Arc<Metrics>,
    clock: Clock,
    store: Arc<dyn Store>,
}

impl Context {
    /// The configuration that holds now.
    fn config(&self) -> Arc<Config> {
        self.current.borrow().config.clone()
    }
}

/// What the API tells of, and what it has done.
pub struct Edges {
    pub current: Reader,
    pub reload: Door,
    pub store: Open,
    pub status: Status,
    pub metrics: Arc<Metrics>,
    pub clock: Clock,
}

/// Why the API does not start.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    #[error("cannot listen on {address}: {source}")]
    Listen {
        address: SocketAddr,
        source: io::Error,
    },
    #[error("cannot start the admin thread: {0}")]
    Thread(#[source] io::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The API, answering until it is stopped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Server {
    /// Listens on `admin.listen`. Returns once connections are accepted.
    ///
    /// # Errors
    ///
    /// When the address is taken, the thread cannot start, or `store.url` is wrong.
    pub fn start(edges: Edges) -> Result<Self, AdminError> {
        let config = edges.current.borrow().config.clone();
        let address = config.admin.listen;
        let failed = |source| AdminError::Listen { address, source };
        let listener = TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;

        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(AdminError::Thread)?;
        // A handle serves the runtime that opened it.
        let store = {
            let _inside = runtime.enter();
            store::open(&Open {
                connections_max: config.store.connections_max.min(CONNECTIONS_MAX),
                ..edges.store
            })?
        };
        let app = router(Arc::new(Context {
            current: edges.current,
            reload: edges.reload,
            status: edges.status,
            metrics: edges.metrics,
            clock: edges.clock,
            store,
        }));
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("admin".to_owned())
            .spawn(move || runtime.block_on(serve(listener, app, stopped)))
            .map_err(AdminError::Thread)?;
        Ok(Self {
            address,
            stop,
            thread,
        })
    }

    /// Where it listens, with the port that port 0 became.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers what has been asked, and ends.
    pub fn stop(self) {
        // A thread that has ended already has said why.
        let _ = self.stop.send(());
        if self.thread.join().is_err() {
            tracing::error!("the admin thread panicked");
        }
    }
}

async fn serve(listener: TcpListener, app: Router, stopped: oneshot::Receiver<()>) {
    let served = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => {
            axum::serve(listener, app)
                .with_graceful_shutdown(async {
                    // A dropped sender stops as well.
                    let _ = stopped.await;
                })
                .await
        }
        Err(error) => Err(error),
    };
    if let Err(error) = served {
        tracing::error!(%error, "the admin API has stopped");
    }
}

fn router(context: Arc<Context>) -> Router {
    let api = Router::new()
        .route("/destinations", get(destinations::list))
        .route("/destinations/{name}", get(destinations::show))
        .route("/destinations/{name}/pause", post(pause::pause))
        .route("/destinations/{name}/resume", post(pause::resume))
        .route("/deliveries", get(deliveries::list))
        .route("/deliveries/{id}", get(deliveries::show))
        .route("/deliveries/{id}/attempts", get(deliveries::attempts))
        .route("/deliveries/{id}/retry", post(retry::retry))
        .route("/attempts", get(attempts::list))
        .route("/config", get(config::show))
        .route("/config/reload", post(config::reload))
        .fallback(answer::no_such_route)
        .method_not_allowed_fallback(answer::no_such_method)
        .layer(axum::middleware::from_fn_with_state(
            context.clone(),
            access::require_token,
        ));
    Router::new()
        .nest("/api/v1", api)
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .fallback(answer::no_such_route)
        .with_state(context)
}
