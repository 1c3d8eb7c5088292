//! `ReplicatesTo::Native::Producer`: records into librdkafka's queue, reports back out.
//!
//! The client is started by the first publish. A process that was forked off forgets the client it inherited, whose
//! threads stayed in the parent, and starts one of its own.

use std::{
    cell::RefCell,
    mem,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use magnus::{
    Module, Object, RArray, RHash, RModule, RString, Ruby, TryConvert, Value, function, method,
};

use crate::{
    failure::{Failure, guarded},
    gvl,
    librdkafka::{self, Client, Enqueued, KafkaError, Message, configuration::Settings, forks},
    record::Envelope,
    reports::{Bounds, Reports},
    schema::Schema,
};

/// How long `close` waits at least for the client to end, whatever is left of its time.
const END: Duration = Duration::from_millis(500);
/// A wait longer than this is the same as for ever.
const WAIT_MAX: Duration = Duration::from_secs(86_400);

/// The Ruby class. Threads share it under Ruby's lock; no borrow of the slot lasts over a call into Ruby.
#[magnus::wrap(class = "ReplicatesTo::Native::Producer", free_immediately, size)]
pub struct Producer {
    settings: Settings,
    slot: RefCell<Slot>,
}

struct Slot {
    client: Option<Arc<Client>>,
    reports: Arc<Reports>,
    is_closed: bool,
    fork_generation: u64,
}

/// Defines the class.
pub fn define(ruby: &Ruby, native: RModule) -> Result<(), magnus::Error> {
    forks::watch();
    let class = native.define_class("Producer", ruby.class_object())?;
    class.define_singleton_method("new", function!(Producer::new, 4))?;
    class.define_method("publish", method!(Producer::publish, 11))?;
    class.define_method("drain", method!(Producer::drain, 1))?;
    class.define_method("wait_reports", method!(Producer::wait_reports, 1))?;
    class.define_method("flush", method!(Producer::flush, 1))?;
    class.define_method("close", method!(Producer::close, 1))?;
    class.define_method("queued_records", method!(Producer::queued_records, 0))?;
    class.define_method("queued_bytes", method!(Producer::queued_bytes, 0))?;
    class.define_method("partitions", method!(Producer::partitions, 2))?;
    class.define_method("create_topic", method!(Producer::create_topic, 4))
}

impl Producer {
    fn new(
        ruby: &Ruby,
        properties: RHash,
        records_max: usize,
        bytes_max: usize,
        record_bytes_max: usize,
    ) -> Result<Self, magnus::Error> {
        guarded(ruby, || {
            if cfg!(target_os = "macos") {
                librdkafka::start_up()?;
            }
            let mut pairs: Vec<(String, String)> = properties.to_vec()?;
            pairs.sort();
            let settings = Settings::new(
                pairs,
                Bounds {
                    records_max,
                    bytes_max,
                },
                record_bytes_max,
            )?;
            Ok(Self {
                slot: RefCell::new(Slot::empty(&settings)),
                settings,
            })
        })
    }

    #[expect(clippy::too_many_arguments, reason = "the method as Ruby sees it")]
    fn publish(
        ruby: &Ruby,
        producer: &Self,
        topic: RString,
        schema: &Schema,
        key: RString,
        operation: Value,
        version: Value,
        seconds: Value,
        nanoseconds: Value,
        run_id: Option<RString>,
        origin: Option<RString>,
        values: Option<RArray>,
        token: usize,
    ) -> Result<Option<usize>, magnus::Error> {
        guarded(ruby, || {
            let envelope =
                Envelope::from_ruby(operation, version, seconds, nanoseconds, run_id, origin)?;
            let topic = topic.to_string()?;
            let bytes_max = producer.settings.record_bytes_max();
            schema.with_record(ruby, key, &envelope, values, bytes_max, |key, payload| {
                let timestamp_ms = envelope.committed_at_ms();
                let message = Message {
                    topic: &topic,
                    key,
                    payload,
                    timestamp_ms,
                    token,
                };
                Ok(match producer.enqueue(&message)? {
                    Enqueued::Yes => Some(payload.len()),
                    Enqueued::QueueFull => None,
                })
            })
        })
    }

    /// A client that has met a fatal error is replaced once; its records come back as failed.
    fn enqueue(&self, message: &Message) -> Result<Enqueued, Failure> {
        match self.client()?.enqueue(message) {
            Err(KafkaError::Fatal(_)) => {
                if let Some(client) = self.slot().client.take() {
                    thread::spawn(move || client.retire());
                }
                Ok(self.client()?.enqueue(message)?)
            }
            answer => Ok(answer?),
        }
    }

    fn drain(ruby: &Ruby, producer: &Self, max: usize) -> Result<RArray, magnus::Error> {
        guarded(ruby, || {
            let (client, reports) = producer.current();
            if let Some(client) = client {
                client.poll(Duration::ZERO);
            }
            let drained = reports.drain(max);
            let answer = ruby.ary_new_capa(drained.len());
            for report in drained {
                answer.push((report.token, report.error))?;
            }
            Ok(answer)
        })
    }

    fn wait_reports(ruby: &Ruby, producer: &Self, seconds: Value) -> Result<bool, magnus::Error> {
        guarded(ruby, || {
            let deadline = deadline(seconds)?;
            loop {
                let (client, reports) = producer.current();
                if !reports.is_empty() {
                    return Ok(true);
                }
                let slice = deadline
                    .saturating_duration_since(Instant::now())
                    .min(gvl::SLICE);
                gvl::released(ruby, || match client {
                    Some(client) => client.poll(slice),
                    None => thread::sleep(slice),
                })?;
                if Instant::now() >= deadline {
                    return Ok(!reports.is_empty());
                }
            }
        })
    }

    fn flush(ruby: &Ruby, producer: &Self, seconds: Value) -> Result<bool, magnus::Error> {
        guarded(ruby, || producer.flush_until(ruby, deadline(seconds)?))
    }

    fn flush_until(&self, ruby: &Ruby, deadline: Instant) -> Result<bool, Failure> {
        let (Some(client), _) = self.current() else {
            return Ok(true);
        };
        let flushed = gvl::wait(ruby, deadline, |slice| client.flush(slice).then_some(()))?;
        Ok(flushed.is_some())
    }

    fn close(ruby: &Ruby, producer: &Self, seconds: Value) -> Result<bool, magnus::Error> {
        guarded(ruby, || {
            let deadline = deadline(seconds)?;
            let is_empty = producer.flush_until(ruby, deadline)?;
            let client = {
                let mut slot = producer.slot();
                slot.is_closed = true;
                slot.client.take()
            };
            if let Some(client) = client {
                // A client that does not end in time goes on ending by itself.
                gvl::wait_aside(ruby, deadline.max(Instant::now() + END), move || {
                    client.retire();
                })?;
            }
            Ok(is_empty)
        })
    }

    fn queued_records(ruby: &Ruby, producer: &Self) -> Result<usize, magnus::Error> {
        guarded(ruby, || Ok(producer.current().1.queued_records()))
    }

    fn queued_bytes(ruby: &Ruby, producer: &Self) -> Result<usize, magnus::Error> {
        guarded(ruby, || Ok(producer.current().1.queued_bytes()))
    }

    fn partitions(
        ruby: &Ruby,
        producer: &Self,
        topic: RString,
        seconds: Value,
    ) -> Result<Option<usize>, magnus::Error> {
        guarded(ruby, || {
            let topic = topic.to_string()?;
            producer.ask(ruby, seconds, move |client, timeout| {
                client.partitions(&topic, timeout)
            })
        })
    }

    fn create_topic(
        ruby: &Ruby,
        producer: &Self,
        topic: RString,
        partitions: i32,
        replication_factor: i32,
        seconds: Value,
    ) -> Result<bool, magnus::Error> {
        guarded(ruby, || {
            let topic = topic.to_string()?;
            producer.ask(ruby, seconds, move |client, timeout| {
                client.create_topic(&topic, partitions, replication_factor, timeout)
            })?;
            Ok(true)
        })
    }

    /// Asks the broker something that may take until `seconds` are over.
    fn ask<T: Send + 'static>(
        &self,
        ruby: &Ruby,
        seconds: Value,
        question: impl FnOnce(&Client, Duration) -> Result<T, KafkaError> + Send + 'static,
    ) -> Result<T, Failure> {
        let deadline = deadline(seconds)?;
        let client = self.client()?;
        let timeout = deadline.saturating_duration_since(Instant::now());
        // librdkafka keeps to the timeout; the time beyond it is for the thread to tell what happened.
        let answer = gvl::wait_aside(ruby, deadline + END, move || question(&client, timeout))?;
        let late = || KafkaError::Unreachable {
            brokers: self.settings.brokers().to_owned(),
            reason: "no answer in time".to_owned(),
        };
        Ok(answer.ok_or_else(late)??)
    }

    /// The client, started if there is none.
    fn client(&self) -> Result<Arc<Client>, Failure> {
        let mut slot = self.slot();
        if slot.is_closed {
            return Err(Failure::Closed);
        }
        if let Some(client) = &slot.client {
            return Ok(client.clone());
        }
        let client = Arc::new(Client::start(&self.settings, slot.reports.clone())?);
        slot.client = Some(client.clone());
        Ok(client)
    }

    fn current(&self) -> (Option<Arc<Client>>, Arc<Reports>) {
        let slot = self.slot();
        (slot.client.clone(), slot.reports.clone())
    }

    fn slot(&self) -> std::cell::RefMut<'_, Slot> {
        let mut slot = self.slot.borrow_mut();
        if slot.fork_generation != forks::generation() {
            let is_closed = slot.is_closed;
            let inherited = mem::replace(&mut *slot, Slot::empty(&self.settings));
            slot.is_closed = is_closed;
            // Its threads stayed in the parent, perhaps with its locks held: destroying it would hang or abort.
            mem::forget(inherited);
        }
        slot
    }
}

impl Drop for Producer {
    /// A producer that was not closed is forgotten: ending a client waits for its threads, and neither the garbage
    /// collector nor a process that exits may wait. What is queued is the sweep's.
    fn drop(&mut self) {
        mem::forget(self.slot.get_mut().client.take());
    }
}

impl Slot {
    fn empty(settings: &Settings) -> Self {
        Self {
            client: None,
            reports: Arc::new(Reports::new(settings.bounds())),
            is_closed: false,
            fork_generation: forks::generation(),
        }
    }
}

fn deadline(seconds: Value) -> Result<Instant, Failure> {
    let seconds = f64::try_convert(seconds)?;
    let wait = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(WAIT_MAX);
    Ok(Instant::now() + wait.min(WAIT_MAX))
}
