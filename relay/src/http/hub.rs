//! Jobs in, answers out.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use relay_core::exchange::{ErrorClass, Exchange, Timings};
use tokio::sync::{Notify, mpsc};
use tokio::time::{MissedTickBehavior, interval};

use super::failure::Failure;
use super::pool::{Pool, Work};
use super::target::Targets;
use super::{Endpoint, Finished, Job, worker};

/// How often idle connections are looked at.
const RETIRE_INTERVAL: Duration = Duration::from_secs(1);

/// Runs until no more jobs can come and all are answered, or until nobody takes answers.
pub async fn run<A>(
    destinations: Vec<Endpoint>,
    mut jobs: mpsc::Receiver<Vec<Job>>,
    answers: mpsc::Sender<A>,
) where
    A: From<Vec<Finished>>,
{
    let mut hub = Hub {
        pools: destinations
            .into_iter()
            .map(Pool::new)
            .map(Rc::new)
            .collect(),
        targets: Targets::default(),
        outbox: Rc::default(),
    };
    // Beyond what all workers can hold, jobs stay in their channel.
    let unanswered_max: usize = hub.pools.iter().map(|pool| pool.limits.concurrency).sum();
    let mut unanswered = 0;
    let mut is_open = true;
    let mut retire = interval(RETIRE_INTERVAL);
    retire.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while is_open || unanswered > 0 {
        tokio::select! {
            biased;
            room = answers.reserve(), if hub.outbox.has_some() => match room {
                Ok(room) => {
                    let finished = hub.outbox.take();
                    unanswered -= finished.len();
                    room.send(finished.into());
                }
                Err(_) => return,
            },
            batch = jobs.recv(), if is_open && unanswered < unanswered_max => match batch {
                Some(batch) => {
                    unanswered += batch.len();
                    for job in batch {
                        hub.start(job);
                    }
                }
                None => is_open = false,
            },
            () = hub.outbox.filled.notified() => {}
            now = retire.tick() => hub.pools.iter().for_each(|pool| pool.retire(now)),
            () = answers.closed() => return,
        }
    }
}

struct Hub {
    pools: Vec<Rc<Pool>>,
    targets: Targets,
    outbox: Rc<Outbox>,
}

impl Hub {
    fn start(&mut self, job: Job) {
        let target = match self.targets.find(&job.request.url) {
            Ok(target) => target,
            Err(error) => return self.outbox.put(unsent(job, error.to_string())),
        };
        let pool = &self.pools[job.destination];
        if let Some(work) = pool.offer(Work { job, target }) {
            let worker = worker::run(pool.clone(), self.outbox.clone(), work);
            tokio::task::spawn_local(worker);
        }
    }
}

fn unsent(job: Job, error: String) -> Finished {
    Finished {
        destination: job.destination,
        request_id: job.request_id,
        request: job.request,
        exchange: Exchange {
            end: Failure::new(ErrorClass::Connect, error).into(),
            timings: Timings::default(),
        },
    }
}

/// Answers on their way out. Those that come in the same turn of the event loop leave together.
#[derive(Default)]
pub struct Outbox {
    finished: RefCell<Vec<Finished>>,
    filled: Notify,
}

impl Outbox {
    pub fn put(&self, finished: Finished) {
        let mut waiting = self.finished.borrow_mut();
        if waiting.is_empty() {
            self.filled.notify_one();
        }
        waiting.push(finished);
    }

    fn has_some(&self) -> bool {
        !self.finished.borrow().is_empty()
    }

    fn take(&self) -> Vec<Finished> {
        self.finished.take()
    }
}
