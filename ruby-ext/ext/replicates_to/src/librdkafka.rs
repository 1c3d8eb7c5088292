//! One librdkafka producer: all of C that the extension talks to, besides Ruby.
//!
//! librdkafka's threads never run Ruby; of ours they run only the look-up of brokers. Reports wait in its queue until
//! [`Client::poll`] or [`Client::flush`] moves them into the ring.
#![expect(
    unsafe_code,
    reason = "librdkafka is a C library; everything unsafe about it is here"
)]

pub mod configuration;
pub mod forks;
mod resolver;
#[cfg(test)]
mod tests;
pub mod topics;

use std::{
    collections::HashMap,
    ffi::{CStr, CString, c_char, c_int, c_void},
    ptr::{self, NonNull},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rdkafka_sys::bindings::{
    RD_KAFKA_MSG_F_COPY, RD_KAFKA_PURGE_F_INFLIGHT, RD_KAFKA_PURGE_F_QUEUE,
    rd_kafka_conf_set_dr_msg_cb, rd_kafka_conf_set_error_cb, rd_kafka_conf_set_opaque,
    rd_kafka_destroy, rd_kafka_err2str, rd_kafka_error_code, rd_kafka_error_destroy,
    rd_kafka_error_string, rd_kafka_fatal_error, rd_kafka_flush, rd_kafka_message_t, rd_kafka_new,
    rd_kafka_poll, rd_kafka_produceva, rd_kafka_purge, rd_kafka_resp_err_t, rd_kafka_t,
    rd_kafka_topic_destroy, rd_kafka_topic_new, rd_kafka_topic_t, rd_kafka_type_t,
    rd_kafka_version_str, rd_kafka_vtype_t, rd_kafka_vu_s__bindgen_ty_1,
    rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1, rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_2,
    rd_kafka_vu_t,
};

use configuration::Settings;

use crate::reports::{Bounds, Report, Reports};

/// What Kafka, or the library that speaks to it, refused.
#[derive(Debug, thiserror::Error)]
pub enum KafkaError {
    #[error("{0}")]
    Configuration(String),
    #[error("record is larger than message.max.bytes ({0} bytes)")]
    TooLarge(usize),
    #[error("Kafka at {brokers}: {reason}")]
    Unreachable { brokers: String, reason: String },
    #[error("topic {topic}: {reason}")]
    Topic { topic: String, reason: String },
    /// The client cannot go on; another one can.
    #[error("{0}")]
    Fatal(String),
}

/// Whether a record was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enqueued {
    Yes,
    QueueFull,
}

/// A record on its way into the queue.
pub struct Message<'a> {
    pub topic: &'a str,
    pub key: &'a [u8],
    pub payload: &'a [u8],
    pub timestamp_ms: i64,
    pub token: usize,
}

/// A producer and its threads. Dropping it ends them, which may take a moment: not under Ruby's lock.
pub struct Client {
    handle: NonNull<rd_kafka_t>,
    brokers: String,
    topics: Mutex<HashMap<String, Topic>>,
    /// The callbacks hold a pointer to it, so it must live as long as the handle.
    context: Box<Context>,
}

struct Context {
    reports: Arc<Reports>,
    /// What the client last complained about: a timeout alone does not say why.
    complaint: Mutex<Option<String>>,
}

struct Topic(NonNull<rd_kafka_topic_t>);

// SAFETY: librdkafka's handles may be used by any thread, several at once; the rest of the struct is `Send` and `Sync`.
unsafe impl Send for Client {}
// SAFETY: as above.
unsafe impl Sync for Client {}
// SAFETY: as above; a topic is only reached through its client.
unsafe impl Send for Topic {}

impl Client {
    /// Starts a producer.
    pub fn start(settings: &Settings, reports: Arc<Reports>) -> Result<Self, KafkaError> {
        let context = Box::new(Context {
            reports,
            complaint: Mutex::default(),
        });
        let conf = settings.to_conf()?;
        let mut reason = [0; 512];
        // SAFETY: `conf` is a live configuration; the context lives in the client until the handle is destroyed.
        // rd_kafka_new takes `conf` unless it fails, and then it is ours to destroy, which `into_raw` undoes below.
        let handle = unsafe {
            let raw = conf.as_ptr();
            rd_kafka_conf_set_opaque(raw, ptr::from_ref::<Context>(&context).cast_mut().cast());
            rd_kafka_conf_set_dr_msg_cb(raw, Some(on_report));
            rd_kafka_conf_set_error_cb(raw, Some(on_complaint));
            resolver::install(raw);
            rd_kafka_new(
                rd_kafka_type_t::RD_KAFKA_PRODUCER,
                raw,
                reason.as_mut_ptr(),
                reason.len(),
            )
        };
        let handle =
            NonNull::new(handle).ok_or_else(|| KafkaError::Configuration(text(reason.as_ptr())))?;
        conf.taken();
        Ok(Self {
            handle,
            brokers: settings.brokers().to_owned(),
            topics: Mutex::default(),
            context,
        })
    }

    /// Puts a record into the queue; never waits.
    pub fn enqueue(&self, message: &Message) -> Result<Enqueued, KafkaError> {
        let bytes = message.key.len() + message.payload.len();
        if !self.context.reports.admit(bytes) {
            return Ok(Enqueued::QueueFull);
        }
        let enqueued = self
            .topic(message.topic)
            .and_then(|topic| self.produce(topic, message));
        if !matches!(enqueued, Ok(Enqueued::Yes)) {
            self.context.reports.withdraw(bytes);
        }
        enqueued
    }

    fn produce(
        &self,
        topic: *mut rd_kafka_topic_t,
        message: &Message,
    ) -> Result<Enqueued, KafkaError> {
        use rd_kafka_vtype_t as V;
        let arguments = [
            argument(V::RD_KAFKA_VTYPE_RKT, Union { rkt: topic }),
            argument(
                V::RD_KAFKA_VTYPE_MSGFLAGS,
                Union {
                    i: RD_KAFKA_MSG_F_COPY,
                },
            ),
            argument(V::RD_KAFKA_VTYPE_KEY, memory(message.key)),
            argument(V::RD_KAFKA_VTYPE_VALUE, memory(message.payload)),
            argument(
                V::RD_KAFKA_VTYPE_TIMESTAMP,
                Union {
                    i64_: message.timestamp_ms,
                },
            ),
            argument(
                V::RD_KAFKA_VTYPE_OPAQUE,
                Union {
                    ptr: ptr::without_provenance_mut(message.token),
                },
            ),
            argument(
                V::RD_KAFKA_VTYPE_HEADER,
                header(c"content-type", "application/x-protobuf"),
            ),
            argument(V::RD_KAFKA_VTYPE_HEADER, header(c"schema-version", "1")),
        ];
        // SAFETY: each argument has the member that its type asks for; key, payload and headers are copied.
        let error = unsafe {
            rd_kafka_produceva(self.handle.as_ptr(), arguments.as_ptr(), arguments.len())
        };
        if error.is_null() {
            return Ok(Enqueued::Yes);
        }
        // SAFETY: a returned error is ours to read and to destroy, once.
        let (code, reason) = unsafe {
            let told = (
                rd_kafka_error_code(error),
                text(rd_kafka_error_string(error)),
            );
            rd_kafka_error_destroy(error);
            told
        };
        match code {
            rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__QUEUE_FULL => Ok(Enqueued::QueueFull),
            rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE => {
                Err(KafkaError::TooLarge(message.payload.len()))
            }
            _ if self.is_dead() => Err(KafkaError::Fatal(reason)),
            _ => Err(KafkaError::Topic {
                topic: message.topic.to_owned(),
                reason,
            }),
        }
    }

    /// Whether an error was met that only another client can get past.
    fn is_dead(&self) -> bool {
        // SAFETY: the handle is live; no text is asked for.
        let error = unsafe { rd_kafka_fatal_error(self.handle.as_ptr(), ptr::null_mut(), 0) };
        error != rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR
    }

    /// Moves reports into the ring, waiting at most `timeout` for the first.
    pub fn poll(&self, timeout: Duration) {
        // SAFETY: the handle is live; the callbacks' context lives as long.
        unsafe { rd_kafka_poll(self.handle.as_ptr(), milliseconds(timeout)) };
    }

    /// Sends what is queued without lingering and moves reports into the ring; `true` when nothing is queued any more.
    pub fn flush(&self, timeout: Duration) -> bool {
        // SAFETY: as in `poll`.
        let error = unsafe { rd_kafka_flush(self.handle.as_ptr(), milliseconds(timeout)) };
        error == rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR
    }

    /// Gives up what is queued: each record gets its report, and the client ends.
    pub fn retire(self: Arc<Self>) {
        /// How long the reports of purged records may take to arrive: they come from the client's own threads.
        const PURGE: Duration = Duration::from_millis(500);
        // SAFETY: the handle is live.
        unsafe {
            rd_kafka_purge(
                self.handle.as_ptr(),
                RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT,
            )
        };
        self.flush(PURGE);
    }

    /// What the client last complained about.
    fn complaint(&self) -> Option<String> {
        self.context
            .complaint
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn topic(&self, name: &str) -> Result<*mut rd_kafka_topic_t, KafkaError> {
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(topic) = topics.get(name) {
            return Ok(topic.0.as_ptr());
        }
        let refused = |reason: &str| KafkaError::Topic {
            topic: name.to_owned(),
            reason: reason.to_owned(),
        };
        let c_name = CString::new(name).map_err(|_| refused("name holds a NUL"))?;
        // SAFETY: the name is copied; no configuration means the client's own.
        let topic =
            unsafe { rd_kafka_topic_new(self.handle.as_ptr(), c_name.as_ptr(), ptr::null_mut()) };
        let topic = NonNull::new(topic).ok_or_else(|| refused("not a topic name"))?;
        topics.insert(name.to_owned(), Topic(topic));
        Ok(topic.as_ptr())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let topics = self
            .topics
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        for (_, topic) in topics.drain() {
            // SAFETY: each handle was made by `topic` and is destroyed once, before its client.
            unsafe { rd_kafka_topic_destroy(topic.0.as_ptr()) };
        }
        // SAFETY: nobody else has the handle any more, and the context is dropped after it.
        unsafe { rd_kafka_destroy(self.handle.as_ptr()) };
    }
}

/// Runs librdkafka's global start-up. macOS does not survive it in a forked child (librdkafka #4590), so there it has to
/// run before the first fork.
pub fn start_up() -> Result<(), KafkaError> {
    let bounds = Bounds {
        records_max: 1,
        bytes_max: 1,
    };
    let nobody = Settings::new(Vec::new(), bounds, 1)?;
    Client::start(&nobody, Arc::new(Reports::new(bounds))).map(drop)
}

/// The version of the library, `2.12.1`.
pub fn version() -> String {
    // SAFETY: a constant text.
    text(unsafe { rd_kafka_version_str() })
}

unsafe extern "C" fn on_report(
    _: *mut rd_kafka_t,
    message: *const rd_kafka_message_t,
    context: *mut c_void,
) {
    // SAFETY: librdkafka passes a live message and the opaque of `start`.
    let (message, context) = unsafe { (message, &*context.cast::<Context>()) };
    // SAFETY: read as the integer it is, since a newer broker may send a code that the enum does not know.
    let code = unsafe { ptr::addr_of!((*message).err).cast::<c_int>().read() };
    // SAFETY: plain fields of a live message; the token is the opaque of `produce`.
    let (bytes, token) = unsafe {
        (
            (*message).len + (*message).key_len,
            (*message)._private.addr(),
        )
    };
    let error = (code != 0).then(|| describe(code));
    context.reports.deliver(bytes, Report { token, error });
}

unsafe extern "C" fn on_complaint(
    _: *mut rd_kafka_t,
    code: c_int,
    reason: *const c_char,
    context: *mut c_void,
) {
    // SAFETY: librdkafka passes the opaque of `start`.
    let context = unsafe { &*context.cast::<Context>() };
    let mut complaint = context
        .complaint
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    // That all brokers are down is told last and says least.
    if complaint.is_none()
        || code != rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN as c_int
    {
        *complaint = Some(text(reason));
    }
}

type Union = rd_kafka_vu_s__bindgen_ty_1;

fn argument(vtype: rd_kafka_vtype_t, u: Union) -> rd_kafka_vu_t {
    rd_kafka_vu_t { vtype, u }
}

fn memory(bytes: &[u8]) -> Union {
    let mem = rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1 {
        ptr: bytes.as_ptr().cast_mut().cast(),
        size: bytes.len(),
    };
    Union { mem }
}

fn header(name: &CStr, value: &str) -> Union {
    Union {
        header: rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_2 {
            name: name.as_ptr(),
            val: value.as_ptr().cast(),
            size: value.len().cast_signed(),
        },
    }
}

fn describe(code: c_int) -> String {
    unsafe extern "C" {
        /// The same function, taking the integer: a code without a text has one too.
        #[link_name = "rd_kafka_err2str"]
        fn err2str(code: c_int) -> *const c_char;
    }
    // SAFETY: any integer has a text, which is never freed.
    text(unsafe { err2str(code) })
}

/// The text of an error code.
fn reason(error: rd_kafka_resp_err_t) -> String {
    // SAFETY: a text that is never freed.
    text(unsafe { rd_kafka_err2str(error) })
}

fn text(c_text: *const c_char) -> String {
    if c_text.is_null() {
        return String::new();
    }
    // SAFETY: every caller passes a text that ends in NUL and lives during the call.
    unsafe { CStr::from_ptr(c_text) }
        .to_string_lossy()
        .into_owned()
}

fn milliseconds(duration: Duration) -> c_int {
    c_int::try_from(duration.as_millis()).unwrap_or(c_int::MAX)
}
