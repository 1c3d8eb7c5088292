//! The configuration of a running relay, read again: it holds as a whole, or the last one goes on holding.
//!
//! - [`Source`]: where it is written
//! - [`Door`]: where the admin API asks for it
//! - [`Reload`]: reads, refuses or applies
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{Notify, mpsc, oneshot, watch};
use tracing::{error, info};

use crate::clock::Clock;
use crate::config::{Config, ConfigError, Environment, Problems};
use crate::current::{Current, Served};
use crate::deliver::{Change, Desk, DeskSettings, Input};
use crate::http::{self, Reaches};
use crate::kafka::KafkaFailure;
use crate::metrics::Metrics;
use crate::status::Status;
use crate::store::LongestRetention;

/// Requests of people that may wait.
const REQUESTS_WAITING_MAX: usize = 16;

/// The name and the text of a file, read as a configuration.
type Parse = Box<dyn Fn(Option<(&str, &str)>) -> Result<Config, Problems> + Send>;

/// Where a configuration is written: a file, flags, the environment.
pub struct Source {
    file: Option<PathBuf>,
    parse: Parse,
    on_hangup: Hangup,
}

/// What a SIGHUP means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hangup {
    /// That the configuration is to be read again.
    Reloads,
    /// That the terminal is gone, as it does for every program that a person started there.
    Ends,
}

impl Source {
    /// A file, under the overrides of the environment.
    pub fn file(path: PathBuf, environment: Environment) -> Self {
        Self {
            file: Some(path),
            parse: Box::new(move |file| {
                let (name, text) = file.unwrap_or_default();
                Config::parse(name, text, &environment)
            }),
            on_hangup: Hangup::Reloads,
        }
    }

    /// Flags, and perhaps a file.
    pub fn flags(
        file: Option<PathBuf>,
        parse: impl Fn(Option<(&str, &str)>) -> Result<Config, Problems> + Send + 'static,
    ) -> Self {
        Self {
            file,
            parse: Box::new(parse),
            on_hangup: Hangup::Ends,
        }
    }

    pub fn on_hangup(&self) -> Hangup {
        self.on_hangup
    }

    /// The text of the file; nothing where there is none.
    fn text(&self) -> Result<String, ConfigError> {
        let Some(path) = &self.file else {
            return Ok(String::new());
        };
        std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
            path: path.display().to_string(),
            source,
        })
    }

    fn parse(&self, text: &str) -> Result<Config, ConfigError> {
        let name = self.file.as_ref().map(|path| path.display().to_string());
        let file = name.as_deref().map(|name| (name, text));
        Ok((self.parse)(file)?)
    }

    /// Reads the configuration for the first time.
    ///
    /// # Errors
    /// When there is none, or it is wrong: all problems at once.
    pub fn read(&self) -> Result<Written, ConfigError> {
        let text = self.text()?;
        let config = self.parse(&text)?;
        Ok(Written { config, text })
    }
}

/// A configuration, and the text of the file that it was read from.
#[derive(Debug)]
pub struct Written {
    pub config: Config,
    text: String,
}

/// Why the last configuration goes on holding.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error(transparent)]
    Wrong(#[from] ConfigError),
    /// It changes what threads were started with.
    #[error(transparent)]
    NeedsRestart(Problems),
    #[error(transparent)]
    Kafka(#[from] KafkaFailure),
    #[error("cannot use the tls of {destination}: {source}")]
    Tls {
        destination: Arc<str>,
        source: rustls::Error,
    },
    #[error("cannot read the system's certificate authorities: {0}")]
    Authorities(#[from] std::io::Error),
    #[error("the relay is ending")]
    Ending,
}

impl Refusal {
    /// Everything that is wrong, one by one.
    pub fn problems(&self) -> Vec<String> {
        match self {
            Self::Wrong(ConfigError::Wrong(problems)) | Self::NeedsRestart(problems) => {
                problems.iter().map(ToString::to_string).collect()
            }
            other => vec![other.to_string()],
        }
    }
}

/// What somebody is told who asked: the revision that holds from now on.
type Answer = Result<String, Refusal>;

/// Where the admin API asks for the configuration to be read again.
#[derive(Debug, Clone)]
pub struct Door(mpsc::Sender<Request>);

/// What comes through the door.
#[derive(Debug)]
pub struct Requests(mpsc::Receiver<Request>);

/// Somebody who asked, and waits.
pub type Request = oneshot::Sender<Answer>;

impl Requests {
    /// The next that comes; none when nobody can ask any more.
    pub async fn next(&mut self) -> Option<Request> {
        self.0.recv().await
    }

    /// One that has come already.
    pub fn waiting(&mut self) -> Option<Request> {
        self.0.try_recv().ok()
    }

    /// From now on nothing is read again: whoever asks, or waits, is told that the relay is ending.
    pub fn refuse(&mut self) {
        self.0.close();
        while let Some(request) = self.waiting() {
            drop(request);
        }
    }
}

impl Door {
    pub fn new() -> (Self, Requests) {
        let (sender, requests) = mpsc::channel(REQUESTS_WAITING_MAX);
        (Self(sender), Requests(requests))
    }

    /// Has the configuration read again.
    ///
    /// # Errors
    /// When it was refused: the last one goes on holding.
    pub async fn ask(&self) -> Answer {
        let (answer, answered) = oneshot::channel();
        let sent = self.0.send(answer).await;
        sent.map_err(|_| Refusal::Ending)?;
        answered.await.map_err(|_| Refusal::Ending)?
    }
}

/// Everything that a configuration is applied to.
pub struct Edges {
    pub http: mpsc::Sender<http::Message>,
    pub inputs: mpsc::Sender<Input>,
    pub current: watch::Sender<Arc<Current>>,
    pub longest_retention: LongestRetention,
    pub status: Status,
    pub metrics: Arc<Metrics>,
    pub bell: Arc<Notify>,
    pub clock: Clock,
}

/// Reads the configuration again.
pub struct Reload {
    source: Source,
    edges: Edges,
    /// The text that was read last, whatever became of it. None: it could not be read.
    seen: Option<String>,
}

impl Reload {
    pub fn new(source: Source, written: &Written, edges: Edges) -> Self {
        Self {
            source,
            edges,
            seen: Some(written.text.clone()),
        }
    }

    pub fn on_hangup(&self) -> Hangup {
        self.source.on_hangup()
    }

    /// Reads again where the text of the file is another than it was.
    pub async fn look(&mut self) {
        let text = self.source.text();
        if text.as_ref().ok() != self.seen.as_ref() {
            // Whoever changed the file reads the log.
            let _ = self.read("the file has changed").await;
        }
    }

    /// Reads the configuration again, and applies it as a whole.
    ///
    /// # Errors
    /// When it is wrong, or changes what a running relay cannot: the last one goes on holding.
    pub async fn read(&mut self, why: &str) -> Answer {
        let read = self.written();
        let applied = match read {
            Ok(config) => self.apply(Arc::new(config)).await,
            Err(refusal) => Err(refusal),
        };
        match &applied {
            Ok(revision) => info!(why, revision, "the configuration was read again and holds"),
            Err(refusal) => {
                self.edges.metrics.config_refused();
                error!(
                    why,
                    "the configuration was read again and is refused, the last one goes on holding: {refusal}"
                );
            }
        }
        applied
    }

    fn written(&mut self) -> Result<Config, Refusal> {
        let text = self.source.text();
        self.seen = text.as_ref().ok().cloned();
        let next = self.source.parse(&text?)?;
        let restarts = self.edges.current.borrow().config.restarts_for(&next);
        if restarts.is_empty() {
            Ok(next)
        } else {
            Err(Refusal::NeedsRestart(restarts))
        }
    }

    /// Has a configuration hold. Everything that may fail comes before anything is changed.
    ///
    /// # Errors
    /// When a consumer cannot be made, or certificates cannot be used.
    pub async fn apply(&self, config: Arc<Config>) -> Answer {
        let current = self.edges.current.borrow().clone();
        let next = Current::followed_by(&current, config);
        let prepared = self.prepare(&current, &next)?;
        for served in &prepared.come {
            let settings = &served.settings;
            info!(destination = &*settings.name, url = %settings.route.url, "delivering");
        }
        let revision = next.config.revision();
        self.edges.status.configure(&next.config);
        self.edges
            .longest_retention
            .set(next.config.longest_retention);
        for message in prepared.endpoints {
            let sent = self.edges.http.send(message).await;
            sent.map_err(|_| Refusal::Ending)?;
        }
        let change = Input::Configured(Box::new(prepared.change));
        let sent = self.edges.inputs.send(change).await;
        sent.map_err(|_| Refusal::Ending)?;
        self.edges.current.send_replace(Arc::new(next));
        self.edges.metrics.config_holds(self.edges.clock.now().wall);
        Ok(revision)
    }

    fn prepare(&self, current: &Current, next: &Current) -> Result<Prepared, Refusal> {
        let reaches = Reaches::read()?;
        let (mut come, mut desks, mut stay, mut endpoints) = (vec![], vec![], vec![], vec![]);
        for served in &next.served {
            let before = current.find(&served.settings.name);
            if before.is_none_or(|before| is_served_otherwise(before, served)) {
                endpoints.push(serve(&reaches, served)?);
            }
            if before.is_some() {
                stay.push(served.clone());
                continue;
            }
            let desk = Desk::new(DeskSettings {
                current: next,
                destination: served.settings.clone(),
                bell: &self.edges.bell,
                metrics: &self.edges.metrics,
            })?;
            desks.push((served.number, desk));
            come.push(served.clone());
        }
        Ok(Prepared {
            come,
            endpoints,
            change: Change {
                come: desks,
                stay,
                buffer_bytes_max: next.buffer_bytes_max(),
            },
        })
    }
}

/// All that it takes to have a configuration hold.
struct Prepared {
    come: Vec<Served>,
    endpoints: Vec<http::Message>,
    change: Change,
}

/// Whether connections that are open will not do any more.
fn is_served_otherwise(before: &Served, after: &Served) -> bool {
    let limits = |served: &Served| http::Limits::from(&*served.settings);
    let (one, other) = (&before.settings, &after.settings);
    limits(before) != limits(after) || one.tls != other.tls || one.egress != other.egress
}

fn serve(reaches: &Reaches, served: &Served) -> Result<http::Message, Refusal> {
    let settings = &*served.settings;
    let reach = reaches.of(settings).map_err(|source| Refusal::Tls {
        destination: settings.name.clone(),
        source,
    })?;
    let limits = settings.into();
    Ok(http::Message::Serve {
        destination: served.number,
        endpoint: Box::new(http::Endpoint { limits, reach }),
    })
}
