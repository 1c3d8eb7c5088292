//! The keeper: the thread that talks to the store for all destinations, so that no engine ever waits for it.
//!
//! Batches are tried once and reported; their engine tries again. Reads are repeated until they succeed: an engine has
//! nothing better to do with a partition that it cannot load.
//!
//! - [`partitions`]: what the store knows of a partition, and of how many there are
//! - [`wishes`]: what people asked for, and what other replicas have handed on
//! - [`upkeep`]: the partitions of the log
mod partitions;
mod upkeep;
mod wishes;

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use relay_core::engine::Event;
use relay_core::names::{DeliveryId, KeyHash, Partition, Stream};
use relay_core::rows::Batch;
use relay_core::time::Timestamp;
use tokio::sync::mpsc;
use tracing::{error, warn};

use crate::current::Reader;
use crate::metrics::Metrics;
use crate::store::{self, Counts, MappingRow, ReplicaRow, Store, StoreError};

/// Jobs that may wait for the thread, which only hands them on.
const JOBS_WAITING_MAX: usize = 1_024;

/// The wait after the first failed read; doubles up to the cap.
const READ_RETRY_BASE: Duration = Duration::from_millis(200);
const READ_RETRY_CAP: Duration = Duration::from_secs(5);

/// Undelivered records are counted up to this.
const COUNT_MAX: u64 = 10_000_000;

/// Something to do for a destination.
#[derive(Debug)]
pub struct Job {
    /// The number of the destination.
    pub destination: usize,
    pub task: Task,
}

/// What the store is asked for.
#[derive(Debug)]
pub enum Task {
    Keep {
        batch: u64,
        rows: Arc<Batch>,
    },
    LoadPartition {
        partition: Partition,
        stream: Arc<Stream>,
    },
    ReadLedger {
        partition: Partition,
        stream: Arc<Stream>,
        keys: Vec<KeyHash>,
    },
    ReadParked {
        ids: Vec<DeliveryId>,
    },
    /// What people asked for: that the destination pauses, and what is to be sent again of these partitions; and what other
    /// replicas have handed to them.
    FindWishes {
        destination: Arc<str>,
        partitions: Vec<Partition>,
        /// Of each topic whose first partition is among them and that had more of them, the first that it does not have any more.
        ends: Vec<Partition>,
    },
    /// A topic has so many partitions.
    NotePartitions {
        topic: Arc<str>,
        stream: Arc<Stream>,
        count: i32,
    },
    /// Says how the destination is doing, and counts what is undelivered.
    Report {
        row: ReplicaRow,
        mappings: Vec<MappingRow>,
        seen_at: Timestamp,
    },
}

/// What the store answered.
#[derive(Debug)]
pub enum Kept {
    /// For the engine.
    Event {
        destination: usize,
        event: Event,
    },
    /// A batch was written, for the metrics.
    Written {
        destination: usize,
        batch: u64,
        rows: Arc<Batch>,
        took: Duration,
    },
    Counted {
        destination: usize,
        counts: Counts,
    },
}

/// Everything the thread needs.
pub struct Keeper {
    pub store: store::Open,
    pub current: Reader,
    pub metrics: Arc<Metrics>,
    pub clock: crate::clock::Clock,
}

/// The running thread; it ends when every sender of jobs is gone.
#[derive(Debug)]
pub struct KeeperHandle {
    pub jobs: mpsc::Sender<Job>,
    pub thread: JoinHandle<()>,
}

impl Keeper {
    /// Starts the thread `store`.
    ///
    /// # Errors
    /// When the thread or its event loop cannot be created.
    pub fn spawn<A>(self, answers: mpsc::Sender<A>) -> io::Result<KeeperHandle>
    where
        A: From<Kept> + Send + 'static,
    {
        let (jobs, arriving) = mpsc::channel(JOBS_WAITING_MAX);
        let thread = std::thread::Builder::new()
            .name("store".into())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .expect("an event loop for the store");
                runtime.block_on(self.run(arriving, answers));
            })?;
        Ok(KeeperHandle { jobs, thread })
    }

    async fn run<A>(self, mut jobs: mpsc::Receiver<Job>, answers: mpsc::Sender<A>)
    where
        A: From<Kept> + Send + 'static,
    {
        let store = match store::open(&self.store) {
            Ok(store) => store,
            Err(error) => return error!(%error, "the store cannot be opened"),
        };
        let upkeep = tokio::spawn(upkeep::look_after(
            store.clone(),
            self.store.partition_width,
            self.current,
            self.metrics,
        ));
        while let Some(job) = jobs.recv().await {
            let (store, answers, clock) = (store.clone(), answers.clone(), self.clock);
            tokio::spawn(async move {
                for kept in serve(store.as_ref(), job, clock).await {
                    // Nobody listens any more: the relay has stopped.
                    let _ = answers.send(kept.into()).await;
                }
            });
        }
        upkeep.abort();
    }
}

async fn serve(store: &dyn Store, job: Job, clock: crate::clock::Clock) -> Vec<Kept> {
    let destination = job.destination;
    let event = |event| vec![Kept::Event { destination, event }];
    match job.task {
        Task::Keep { batch, rows } => keep(store, destination, batch, rows, clock).await,
        Task::LoadPartition { partition, stream } => {
            let events = partitions::load(store, partition, &stream).await;
            let kept = |event| Kept::Event { destination, event };
            events.into_iter().map(kept).collect()
        }
        Task::ReadLedger {
            partition,
            stream,
            keys,
        } => {
            let found =
                until_it_works("read the ledger", || store.load_ledger(&stream, &keys)).await;
            event(Event::LedgerRead {
                partition,
                asked: keys,
                found,
            })
        }
        Task::ReadParked { ids } => {
            let rows = until_it_works("read parked records", || store.load_parked(&ids)).await;
            event(Event::ParkedRead { asked: ids, rows })
        }
        Task::FindWishes {
            destination: name,
            partitions,
            ends,
        } => match wishes::find(store, &name, &partitions, &ends).await {
            Ok(events) => events
                .into_iter()
                .map(|event| Kept::Event { destination, event })
                .collect(),
            Err(error) => {
                warn!(destination = &*name, %error, "cannot look for what people asked for");
                vec![]
            }
        },
        Task::NotePartitions {
            topic,
            stream,
            count,
        } => event(partitions::note(store, topic, &stream, count).await),
        Task::Report {
            row,
            mappings,
            seen_at,
        } => report(store, destination, row, &mappings, seen_at).await,
    }
}

async fn keep(
    store: &dyn Store,
    destination: usize,
    batch: u64,
    rows: Arc<Batch>,
    clock: crate::clock::Clock,
) -> Vec<Kept> {
    let began = clock.now().monotonic;
    match store.keep(&rows).await {
        Ok(()) => {
            let took = clock.now().monotonic.saturating_sub(began);
            // Its rows are counted first: a destination that drains may be done with this batch.
            vec![
                Kept::Written {
                    destination,
                    batch,
                    rows,
                    took,
                },
                Kept::Event {
                    destination,
                    event: Event::Flushed { batch },
                },
            ]
        }
        Err(error) => {
            error!(%error, rows = rows.attempts.len(), "the log cannot be written; delivery holds until it can");
            vec![Kept::Event {
                destination,
                event: Event::FlushRefused { batch },
            }]
        }
    }
}

async fn report(
    store: &dyn Store,
    destination: usize,
    row: ReplicaRow,
    mappings: &[MappingRow],
    seen_at: Timestamp,
) -> Vec<Kept> {
    let name = row.destination.clone();
    let reported = async {
        store.record_destination(&name, seen_at).await?;
        store.record_replica(&[row], mappings).await?;
        store.count_undelivered(&name, COUNT_MAX).await
    };
    match reported.await {
        Ok(counts) => vec![
            Kept::Event {
                destination,
                event: Event::Counted {
                    undelivered: counts.total(),
                },
            },
            Kept::Counted {
                destination,
                counts,
            },
        ],
        Err(error) => {
            warn!(destination = &*name, %error, "the store cannot be told how the destination is doing");
            vec![]
        }
    }
}

/// Repeats a read until it succeeds.
async fn until_it_works<T, F>(what: &str, mut read: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, StoreError>>,
{
    let mut wait = READ_RETRY_BASE;
    loop {
        match read().await {
            Ok(value) => return value,
            Err(error) => warn!(%error, "cannot {what}; trying again"),
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(READ_RETRY_CAP);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::store::{Open, PauseRequest, Wish};

    /// Nothing of a paused destination may be sent before its next look at what people asked for.
    #[tokio::test]
    async fn a_partition_that_is_loaded_brings_its_destinations_pause_first() {
        let clock = Clock::start();
        let store = store::open(&Open {
            url: "sqlite://keeper?mode=memory".into(),
            connections_max: 2,
            partition_width: Duration::from_secs(86_400),
            partitions_ahead: 3,
            longest_retention: Duration::from_secs(86_400).into(),
            compress: false,
            replica: "relay-1".into(),
        })
        .unwrap();
        store.migrate().await.unwrap();
        let request = PauseRequest {
            destination: "billing".into(),
            wish: Wish::Pause {
                reason: "they migrate".into(),
            },
            token_name: "ops".into(),
            at: clock.now().wall,
        };
        store.set_pause(&request).await.unwrap();
        let stream = Stream {
            destination: "billing".into(),
            source: "monolith".into(),
            model: "Vehicle".into(),
        };
        let partition = Partition {
            topic: "replicates_to.monolith.billing.Vehicle".into(),
            number: 0,
        };
        let task = Task::LoadPartition {
            partition,
            stream: Arc::new(stream),
        };
        let job = Job {
            destination: 0,
            task,
        };
        let events: Vec<_> = serve(store.as_ref(), job, clock)
            .await
            .into_iter()
            .map(|kept| match kept {
                Kept::Event { event, .. } => event,
                other => panic!("{other:?}"),
            })
            .collect();
        let [Event::Paused { words: Some(words) }, Event::Loaded { .. }] = &events[..] else {
            panic!("{events:?}")
        };
        assert_eq!(&**words, "by ops: they migrate");
    }
}
