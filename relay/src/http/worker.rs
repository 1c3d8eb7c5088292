//! One connection's life: dial, request, answer, idle, the next request.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use relay_core::exchange::{End, ErrorClass, Exchange, HttpRequest, Timings};
use tokio::time::Instant;

use super::Finished;
use super::connection::Connection;
use super::deadline::Deadline;
use super::dial::{Protocols, dial};
use super::failure::Failure;
use super::hub::Outbox;
use super::lines::Way;
use super::message::Sent;
use super::pool::{Order, Pool, Work};
use super::target::{Origin, Target};
use super::tokens;
use crate::lease::Term;

/// Shared connections tried for one request, as long as servers say that they have done nothing about it.
const WAYS_TRIED_MAX: usize = 3;

/// Serves requests until there has been none for a while.
pub async fn run(pool: Rc<Pool>, outbox: Rc<Outbox>, first: Work) {
    let mut worker = Worker {
        deadline: Deadline::new(Instant::now() + first.job.request.timeout),
        term: first.job.term,
        is_over: false,
        kept: None,
        pool,
    };
    let mut next = Some(first);
    while let Some(Work { mut job, target }) = next {
        (worker.term, worker.is_over) = (job.term, false);
        let exchange = worker.exchange(&mut job.request, &target).await;
        outbox.put(Finished {
            destination: job.destination,
            request_id: job.request_id,
            request: job.request,
            term: job.term,
            exchange: (!worker.is_over).then_some(exchange),
        });
        next = worker.next().await;
    }
    worker.pool.leave();
}

struct Worker {
    pool: Rc<Pool>,
    kept: Option<Kept>,
    deadline: Deadline,
    /// When the request at hand was asked for.
    term: Term,
    /// It was over before the request could be sent.
    is_over: bool,
}

impl Worker {
    /// Makes one request, with a token where it needs one: waiting for that, and sending again, take of the same time.
    async fn exchange(&mut self, request: &mut HttpRequest, target: &Target) -> Exchange {
        let began = Instant::now();
        let over_at = began + request.timeout;
        self.deadline.set(over_at);
        let Some(grant) = request.grant.clone() else {
            return self.attempt(request, target, began).await;
        };
        let obtained = match tokens::obtain(&self.pool, &grant, request, None, over_at).await {
            Ok(obtained) => obtained,
            Err(failure) => return unsent(failure),
        };
        request.token = Some(obtained.token.clone());
        let waited = began.elapsed();
        let exchange = self.attempt(request, target, Instant::now()).await;
        // One that was just issued is not refused because it is too old.
        if !obtained.was_there || !is_unauthorized(&exchange) {
            return blame_wait(exchange, waited, over_at);
        }
        let refused = Some(&obtained.token);
        match tokens::obtain(&self.pool, &grant, request, refused, over_at).await {
            Ok(renewed) => {
                request.token = Some(renewed.token);
                let waited = began.elapsed();
                let again = self.attempt(request, target, Instant::now()).await;
                // What may not be sent again was sent once all the same.
                if std::mem::take(&mut self.is_over) {
                    return exchange;
                }
                blame_wait(again, waited, over_at)
            }
            Err(failure) => unsent(failure),
        }
    }

    /// Makes one request, on the connection at hand or on a new one.
    async fn attempt(
        &mut self,
        request: &mut HttpRequest,
        target: &Target,
        started: Instant,
    ) -> Exchange {
        let mut timings = Timings::default();
        let end = match self.answer(request, target, started, &mut timings).await {
            Ok(end) => end,
            Err(failure) => failure.into(),
        };
        timings.total_ms = milliseconds(started.elapsed());
        Exchange { end, timings }
    }

    async fn answer(
        &mut self,
        request: &mut HttpRequest,
        target: &Target,
        started: Instant,
        timings: &mut Timings,
    ) -> Result<End, Failure> {
        let kept = self.kept.take();
        let kept = kept.and_then(|kept| kept.connection_to(&target.origin));
        // Where its server's name has led for so long may be the wrong place by now.
        if let Some(kept) = kept.filter(|kept| kept.age(started) < self.pool.limits.age_max) {
            // One turn of the event loop, so that a close which has arrived by now is seen before anything is written.
            tokio::task::yield_now().await;
            let way = Way::Own(kept);
            if let Some(end) = self.send(way, request, target, started, timings).await {
                return Ok(end);
            }
        }
        // A shared connection may be about to close: then the next one takes it.
        for _ in 0..WAYS_TRIED_MAX {
            let way = self.find(target, timings).await?;
            let is_shared = matches!(way, Way::Place(_));
            let end = self.send(way, request, target, started, timings).await;
            match end {
                Some(end) => return Ok(end),
                None if is_shared => {}
                None => return Err(Failure::closed()),
            }
        }
        Err(Failure::not_taken())
    }

    /// A connection that is not this worker's already.
    async fn find(&self, target: &Target, timings: &mut Timings) -> Result<Way, Failure> {
        let asked = Instant::now();
        let left = self.deadline.left(asked);
        let limit = self.pool.limits.connect_timeout.min(left);
        let origin = &target.origin;
        let way = match &origin.server_name {
            None => {
                let socket = dial(origin, limit, &self.pool.reach, Protocols::Http1).await?;
                Way::Own(Box::new(Connection::open(socket, origin.clone()).await?))
            }
            Some(_) => match self.pool.lines.place(origin, asked) {
                Some(place) => return Ok(Way::Place(place)),
                None => {
                    self.pool
                        .lines
                        .find(origin, limit, &self.pool.reach)
                        .await?
                }
            },
        };
        timings.connect_ms = Some(milliseconds(asked.elapsed()));
        Ok(way)
    }

    /// Sends on this connection, and keeps it when it can serve again. None when nothing became of the request, so that
    /// another can be tried without the risk of sending twice. However long it took to come here, nothing leaves that may
    /// be another's by now.
    async fn send(
        &mut self,
        way: Way,
        request: &mut HttpRequest,
        target: &Target,
        started: Instant,
        timings: &mut Timings,
    ) -> Option<End> {
        if !self.pool.lease.allows(self.term) {
            self.is_over = true;
            return Some(Failure::not_taken().into());
        }
        let bytes_max = self.pool.limits.response_bytes_max;
        let deadline = &mut self.deadline;
        let sent = match way {
            Way::Own(mut connection) => {
                let sent = connection
                    .exchange(request, target, deadline, bytes_max)
                    .await;
                let may_keep = matches!(sent, Sent::Answered { .. });
                if may_keep && connection.is_reusable().await {
                    self.kept = Some(Kept::Connection(connection));
                }
                sent
            }
            Way::Place(place) => {
                self.kept = Some(Kept::Nothing(target.origin.clone()));
                place.exchange(request, target, deadline, bytes_max).await
            }
        };
        let (end, first_byte_at) = match sent {
            Sent::NotTaken => return None,
            Sent::Failed {
                failure,
                first_byte_at,
            } => (failure.into(), first_byte_at),
            Sent::Answered {
                answer,
                first_byte_at,
            } => (End::Answered(answer), Some(first_byte_at)),
        };
        timings.first_byte_ms = first_byte_at.map(|at| milliseconds(at - started));
        Some(end)
    }

    /// Waits for the next request. None when the connection is gone or has idled too long.
    async fn next(&mut self) -> Option<Work> {
        if let Some(work) = self.pool.next_waiting() {
            return Some(work);
        }
        if self.pool.is_closed() {
            return None;
        }
        let kept = self.kept.as_mut()?;
        let seat = self.pool.sit_down(kept.origin());
        poll_fn(|cx| {
            if let Poll::Ready(order) = seat.poll_order(cx) {
                return Poll::Ready(match order {
                    Order::Work(work) => Some(work),
                    Order::Leave => None,
                });
            }
            kept.poll_closed(cx).map(|()| {
                self.pool.stand_up(&seat);
                None
            })
        })
        .await
    }
}

/// What a worker has between two requests.
enum Kept {
    Connection(Box<Connection>),
    /// Its server is reached by connections that many share.
    Nothing(Rc<Origin>),
}

impl Kept {
    fn origin(&self) -> &Rc<Origin> {
        match self {
            Self::Connection(connection) => &connection.origin,
            Self::Nothing(origin) => origin,
        }
    }

    fn connection_to(self, origin: &Origin) -> Option<Box<Connection>> {
        match self {
            Self::Connection(connection) => {
                let is_its_own = *connection.origin == *origin;
                is_its_own.then_some(connection)
            }
            Self::Nothing(_) => None,
        }
    }

    fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Connection(connection) => connection.poll_closed(cx),
            Self::Nothing(_) => Poll::Pending,
        }
    }
}

/// Whoever waited for a token until less time was left to connect than it had taken has learnt nothing of the endpoint.
fn blame_wait(exchange: Exchange, waited: Duration, over_at: Instant) -> Exchange {
    let End::Failed { class, .. } = &exchange.end else {
        return exchange;
    };
    let could_not_connect = matches!(
        class,
        ErrorClass::Connect | ErrorClass::Dns | ErrorClass::Tls
    );
    let left = Duration::from_secs_f32(exchange.timings.total_ms / 1_000.0);
    if could_not_connect && left < waited && Instant::now() >= over_at {
        return unsent(Failure::new(
            ErrorClass::Auth,
            "the token came too late to connect",
        ));
    }
    exchange
}

/// A request that was not made, for want of a token.
fn unsent(failure: Failure) -> Exchange {
    Exchange {
        end: failure.into(),
        timings: Timings::default(),
    }
}

fn is_unauthorized(exchange: &Exchange) -> bool {
    matches!(&exchange.end, End::Answered(answer) if answer.status == 401)
}

fn milliseconds(duration: Duration) -> f32 {
    duration.as_secs_f32() * 1_000.0
}
