//! Messages in, answers out.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use relay_core::exchange::{ErrorClass, Exchange, Timings};
use tokio::sync::{Notify, mpsc};
use tokio::time::{MissedTickBehavior, interval};

use super::failure::Failure;
use super::pool::{Pool, Work};
use super::target::Targets;
use super::{Endpoint, Finished, Job, Message, worker};
use crate::lease::Lease;

/// How often idle connections are looked at.
const RETIRE_INTERVAL: Duration = Duration::from_secs(1);

/// Runs until no more messages can come and all jobs are answered, or until nobody takes answers.
pub async fn run<A>(mut messages: mpsc::Receiver<Message>, answers: mpsc::Sender<A>, lease: Lease)
where
    A: From<Vec<Finished>>,
{
    let mut hub = Hub::new(lease);
    let mut is_open = true;
    let mut retire = interval(RETIRE_INTERVAL);
    retire.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while is_open || hub.unanswered > 0 {
        tokio::select! {
            biased;
            room = answers.reserve(), if hub.outbox.has_some() => match room {
                Ok(room) => {
                    let finished = hub.outbox.take();
                    hub.unanswered -= finished.len();
                    room.send(finished.into());
                }
                Err(_) => return,
            },
            message = messages.recv(), if is_open && hub.has_room() => match message {
                Some(message) => hub.take_in(message),
                None => is_open = false,
            },
            () = hub.outbox.filled.notified() => {}
            now = retire.tick() => hub.pools.values().for_each(|pool| pool.retire(now)),
            () = answers.closed() => return,
        }
    }
}

struct Hub {
    lease: Lease,
    /// By the numbers of their destinations.
    pools: BTreeMap<usize, Rc<Pool>>,
    targets: Targets,
    outbox: Rc<Outbox>,
    unanswered: usize,
    unanswered_max: usize,
}

impl Hub {
    fn new(lease: Lease) -> Self {
        Self {
            lease,
            pools: BTreeMap::new(),
            targets: Targets::default(),
            outbox: Rc::default(),
            unanswered: 0,
            unanswered_max: 0,
        }
    }

    fn take_in(&mut self, message: Message) {
        match message {
            Message::Make(jobs) => {
                self.unanswered += jobs.len();
                for job in jobs {
                    self.start(job);
                }
            }
            Message::Serve {
                destination,
                endpoint,
            } => self.replace(destination, Some(*endpoint)),
            Message::Forget { destination } => self.replace(destination, None),
        }
    }

    /// Beyond what all workers can hold, jobs stay in their channel.
    fn has_room(&self) -> bool {
        self.unanswered == 0 || self.unanswered < self.unanswered_max
    }

    fn replace(&mut self, destination: usize, endpoint: Option<Endpoint>) {
        let pool = endpoint.map(|endpoint| Rc::new(Pool::new(endpoint, self.lease.clone())));
        let former = match pool {
            Some(pool) => self.pools.insert(destination, pool),
            None => self.pools.remove(&destination),
        };
        if let Some(former) = former {
            former.close();
        }
        let limits = self.pools.values().map(|pool| pool.limits.concurrency);
        self.unanswered_max = limits.sum();
    }

    fn start(&mut self, job: Job) {
        let target = match self.targets.find(&job.request.url) {
            Ok(target) => target,
            Err(error) => return self.outbox.put(unsent(job, error.to_string())),
        };
        let Some(pool) = self.pools.get(&job.destination) else {
            return self.outbox.put(unsent(job, "it is served no more".into()));
        };
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
        term: job.term,
        exchange: Some(Exchange {
            end: Failure::new(ErrorClass::Connect, error).into(),
            timings: Timings::default(),
        }),
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
