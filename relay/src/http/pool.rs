//! The connections of one destination: who idles, who waits, how many there are.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::Instant;

use super::lines::Lines;
use super::target::{Origin, Target};
use super::tokens::Tokens;
use super::{Endpoint, Job, Limits, Reach};
use crate::lease::Lease;

/// How long a connection idles. Shorter than the shortest keep-alive that servers commonly have (5 s), because a
/// request written while the server closes is a `reset`.
const IDLE_MAX: Duration = Duration::from_secs(4);

/// A job and where it goes.
pub struct Work {
    pub job: Job,
    pub target: Rc<Target>,
}

/// The workers of one destination. Each holds at most one connection.
pub struct Pool {
    pub lease: Lease,
    pub limits: Limits,
    pub reach: Reach,
    pub tokens: Tokens,
    pub lines: Lines,
    state: RefCell<State>,
    is_closed: Cell<bool>,
}

#[derive(Default)]
struct State {
    /// Longest idle first.
    idle: VecDeque<Rc<Seat>>,
    /// Work that arrived while all workers were busy.
    waiting: VecDeque<Work>,
    workers: usize,
}

impl Pool {
    pub fn new(endpoint: Endpoint, lease: Lease) -> Self {
        Self {
            lease,
            limits: endpoint.limits,
            reach: endpoint.reach,
            tokens: Tokens::default(),
            lines: Lines::new(endpoint.limits.age_max),
            state: RefCell::default(),
            is_closed: Cell::new(false),
        }
    }

    /// Gives work to the worker that idled least, so that the others can close; else to a new worker while there may
    /// be more; else to an idle one that must connect anew, having served another server; else to the next one free.
    ///
    /// `Some` is work to start a new worker with.
    pub fn offer(&self, work: Work) -> Option<Work> {
        let mut state = self.state.borrow_mut();
        let serves = |seat: &Rc<Seat>| *seat.origin == *work.target.origin;
        if let Some(position) = state.idle.iter().rposition(serves) {
            if let Some(seat) = state.idle.remove(position) {
                seat.order(Order::Work(work));
            }
            return None;
        }
        if state.workers < self.limits.concurrency {
            state.workers += 1;
            return Some(work);
        }
        match state.idle.pop_front() {
            Some(seat) => seat.order(Order::Work(work)),
            None => state.waiting.push_back(work),
        }
        None
    }

    /// The work that has waited longest.
    pub fn next_waiting(&self) -> Option<Work> {
        self.state.borrow_mut().waiting.pop_front()
    }

    /// Lets a worker wait for its next order.
    pub fn sit_down(&self, origin: &Rc<Origin>) -> Rc<Seat> {
        let seat = Rc::new(Seat {
            origin: origin.clone(),
            since: Instant::now(),
            order: Cell::new(None),
            waker: Cell::new(None),
        });
        self.state.borrow_mut().idle.push_back(seat.clone());
        seat
    }

    /// Takes back a seat whose connection was closed by the other side.
    pub fn stand_up(&self, seat: &Rc<Seat>) {
        self.state
            .borrow_mut()
            .idle
            .retain(|other| !Rc::ptr_eq(other, seat));
    }

    /// Another pool serves the destination from now on: what is in flight or waits here ends here, and then all leave.
    pub fn close(&self) {
        self.is_closed.set(true);
        self.lines.close();
        for seat in self.state.borrow_mut().idle.drain(..) {
            seat.order(Order::Leave);
        }
    }

    pub fn is_closed(&self) -> bool {
        self.is_closed.get()
    }

    /// Counts a worker out.
    pub fn leave(&self) {
        self.state.borrow_mut().workers -= 1;
    }

    /// Sends home those who have idled too long.
    pub fn retire(&self, now: Instant) {
        self.lines.retire(now, IDLE_MAX);
        let mut state = self.state.borrow_mut();
        while state
            .idle
            .front()
            .is_some_and(|seat| now.duration_since(seat.since) >= IDLE_MAX)
        {
            if let Some(seat) = state.idle.pop_front() {
                seat.order(Order::Leave);
            }
        }
    }
}

/// What an idle worker is told.
pub enum Order {
    Work(Work),
    Leave,
}

/// Where an idle worker waits.
pub struct Seat {
    origin: Rc<Origin>,
    since: Instant,
    order: Cell<Option<Order>>,
    waker: Cell<Option<Waker>>,
}

impl Seat {
    fn order(&self, order: Order) {
        self.order.set(Some(order));
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Ready with the order once there is one.
    pub fn poll_order(&self, cx: &mut Context<'_>) -> Poll<Order> {
        if let Some(order) = self.order.take() {
            return Poll::Ready(order);
        }
        self.waker.set(Some(cx.waker().clone()));
        Poll::Pending
    }
}
