//! One connection's life: dial, request, answer, idle, the next request.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use relay_core::exchange::{End, Exchange, HttpRequest, Timings};
use tokio::time::Instant;

use super::Finished;
use super::connection::{Connection, Sent};
use super::deadline::Deadline;
use super::dial::dial;
use super::failure::Failure;
use super::hub::Outbox;
use super::pool::{Order, Pool, Work};
use super::target::Target;
use super::tokens;

/// Serves requests until there has been none for a while.
pub async fn run(pool: Rc<Pool>, outbox: Rc<Outbox>, first: Work) {
    let mut worker = Worker {
        deadline: Deadline::new(Instant::now() + first.job.request.timeout),
        connection: None,
        pool,
    };
    let mut next = Some(first);
    while let Some(Work { mut job, target }) = next {
        let exchange = worker.exchange(&mut job.request, &target).await;
        outbox.put(Finished {
            destination: job.destination,
            request_id: job.request_id,
            request: job.request,
            exchange,
        });
        next = worker.next().await;
    }
    worker.pool.leave();
}

struct Worker {
    pool: Rc<Pool>,
    connection: Option<Connection>,
    deadline: Deadline,
}

impl Worker {
    /// Makes one request, with a token where it needs one.
    async fn exchange(&mut self, request: &mut HttpRequest, target: &Target) -> Exchange {
        let Some(grant) = request.grant.clone() else {
            return self.attempt(request, target).await;
        };
        let obtained = match tokens::obtain(&self.pool, &grant, request, None).await {
            Ok(obtained) => obtained,
            Err(failure) => return unsent(failure),
        };
        request.token = Some(obtained.token.clone());
        let exchange = self.attempt(request, target).await;
        // One that was just issued is not refused because it is too old.
        if !obtained.was_there || !is_unauthorized(&exchange) {
            return exchange;
        }
        let refused = Some(&obtained.token);
        match tokens::obtain(&self.pool, &grant, request, refused).await {
            Ok(renewed) => {
                request.token = Some(renewed.token);
                self.attempt(request, target).await
            }
            Err(failure) => unsent(failure),
        }
    }

    /// Makes one request, on the connection at hand or on a new one.
    async fn attempt(&mut self, request: &mut HttpRequest, target: &Target) -> Exchange {
        let started = Instant::now();
        self.deadline.set(started + request.timeout);
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
        let kept = self
            .connection
            .take()
            .filter(|kept| *kept.origin == *target.origin);
        if let Some(kept) = kept {
            // One turn of the event loop, so that a close which has arrived by now is seen before anything is written.
            tokio::task::yield_now().await;
            if let Some(end) = self.send(kept, request, target, started, timings).await {
                return Ok(end);
            }
        }
        let dialled = Instant::now();
        let left = request.timeout.saturating_sub(dialled - started);
        let limit = self.pool.limits.connect_timeout.min(left);
        let socket = dial(&target.origin, limit, &self.pool.reach).await?;
        let fresh = Connection::open(socket, target.origin.clone()).await?;
        timings.connect_ms = Some(milliseconds(dialled.elapsed()));
        let end = self.send(fresh, request, target, started, timings).await;
        end.ok_or_else(Failure::closed)
    }

    /// Sends on this connection, and keeps it when it can serve again. None when it was closed before anything was
    /// written, so that another can be tried without the risk of sending twice.
    async fn send(
        &mut self,
        mut connection: Connection,
        request: &mut HttpRequest,
        target: &Target,
        started: Instant,
        timings: &mut Timings,
    ) -> Option<End> {
        let bytes_max = self.pool.limits.response_bytes_max;
        let sent = connection
            .exchange(request, target, &mut self.deadline, bytes_max)
            .await;
        let (end, first_byte_at) = match sent {
            Sent::NotWritten => return None,
            Sent::Failed {
                failure,
                first_byte_at,
            } => (failure.into(), first_byte_at),
            Sent::Answered {
                answer,
                first_byte_at,
            } => {
                if connection.is_reusable().await {
                    self.connection = Some(connection);
                }
                (End::Answered(answer), Some(first_byte_at))
            }
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
        let connection = self.connection.as_mut()?;
        let seat = self.pool.sit_down(&connection.origin);
        poll_fn(|cx| {
            if let Poll::Ready(order) = seat.poll_order(cx) {
                return Poll::Ready(match order {
                    Order::Work(work) => Some(work),
                    Order::Leave => None,
                });
            }
            connection.poll_closed(cx).map(|()| {
                self.pool.stand_up(&seat);
                None
            })
        })
        .await
    }
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
