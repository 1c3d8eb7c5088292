//! What a producer is made of: the caller's properties and those that the gem owns.

use std::{ffi::CString, ptr::NonNull};

use rdkafka_sys::bindings::{
    rd_kafka_conf_destroy, rd_kafka_conf_new, rd_kafka_conf_res_t, rd_kafka_conf_set,
    rd_kafka_conf_t,
};

use super::{KafkaError, text};
use crate::reports::Bounds;

/// Delivery would not be what the gem promises if these were another's: idempotence keeps retries from reordering and
/// doubling, the partitioner must be the one that every other client uses, and the queue's bounds are the gem's.
const OWNED: [&str; 8] = [
    "enable.idempotence",
    "acks",
    "request.required.acks",
    "partitioner",
    "queue.buffering.max.messages",
    "queue.buffering.max.kbytes",
    "enable.gapless.guarantee",
    "transactional.id",
];

/// Room for key, headers and Kafka's own framing around a record of the largest size.
const OVERHEAD_BYTES: usize = 16 * 1024;

/// Everything a client is started with; kept, since a fork starts another.
#[derive(Clone, Debug)]
pub struct Settings {
    properties: Vec<(String, String)>,
    bounds: Bounds,
    record_bytes_max: usize,
}

impl Settings {
    /// Checks every property.
    pub fn new(
        properties: Vec<(String, String)>,
        bounds: Bounds,
        record_bytes_max: usize,
    ) -> Result<Self, KafkaError> {
        if let Some((name, _)) = properties
            .iter()
            .find(|(name, _)| OWNED.contains(&name.as_str()))
        {
            return Err(KafkaError::Configuration(format!(
                "kafka property {name} is set by the gem"
            )));
        }
        let settings = Self {
            properties,
            bounds,
            record_bytes_max,
        };
        settings.to_conf()?;
        Ok(settings)
    }

    pub fn bounds(&self) -> Bounds {
        self.bounds
    }

    pub fn record_bytes_max(&self) -> usize {
        self.record_bytes_max
    }

    /// The brokers as the caller named them.
    pub fn brokers(&self) -> &str {
        self.properties
            .iter()
            .find(|(name, _)| name == "bootstrap.servers" || name == "metadata.broker.list")
            .map_or("no broker", |(_, value)| value.as_str())
    }

    pub(super) fn to_conf(&self) -> Result<Conf, KafkaError> {
        let conf = Conf::new();
        conf.set(
            "message.max.bytes",
            &(self.record_bytes_max + OVERHEAD_BYTES).to_string(),
        )?;
        for (name, value) in &self.properties {
            conf.set(name, value)?;
        }
        conf.set("enable.idempotence", "true")?;
        conf.set("acks", "all")?;
        conf.set("partitioner", "murmur2")?;
        // Our own bounds come first; librdkafka's only have to be no narrower.
        let bytes_max = self.bounds.bytes_max.max(self.record_bytes_max) + OVERHEAD_BYTES;
        conf.set(
            "queue.buffering.max.messages",
            &self.bounds.records_max.to_string(),
        )?;
        conf.set(
            "queue.buffering.max.kbytes",
            &bytes_max.div_ceil(1024).to_string(),
        )?;
        Ok(conf)
    }
}

/// librdkafka's configuration, destroyed unless a client has taken it.
pub(super) struct Conf(NonNull<rd_kafka_conf_t>);

impl Conf {
    fn new() -> Self {
        // SAFETY: no arguments.
        Self(
            NonNull::new(unsafe { rd_kafka_conf_new() })
                .expect("librdkafka has memory for a configuration"),
        )
    }

    pub(super) fn as_ptr(&self) -> *mut rd_kafka_conf_t {
        self.0.as_ptr()
    }

    /// A client owns it now.
    pub(super) fn taken(self) {
        std::mem::forget(self);
    }

    fn set(&self, name: &str, value: &str) -> Result<(), KafkaError> {
        let c_text = |text: &str| {
            CString::new(text).map_err(|_| {
                KafkaError::Configuration(format!("kafka property {name} holds a NUL"))
            })
        };
        let (c_name, c_value) = (c_text(name)?, c_text(value)?);
        let mut reason = [0; 512];
        // SAFETY: the configuration is live, the texts are copied.
        let set = unsafe {
            rd_kafka_conf_set(
                self.as_ptr(),
                c_name.as_ptr(),
                c_value.as_ptr(),
                reason.as_mut_ptr(),
                reason.len(),
            )
        };
        match set {
            rd_kafka_conf_res_t::RD_KAFKA_CONF_OK => Ok(()),
            rd_kafka_conf_res_t::RD_KAFKA_CONF_UNKNOWN => Err(KafkaError::Configuration(format!(
                "kafka property {name} is unknown to librdkafka"
            ))),
            rd_kafka_conf_res_t::RD_KAFKA_CONF_INVALID => Err(KafkaError::Configuration(format!(
                "kafka property {name}: {}",
                text(reason.as_ptr())
            ))),
        }
    }
}

impl Drop for Conf {
    fn drop(&mut self) {
        // SAFETY: live, and not taken by a client.
        unsafe { rd_kafka_conf_destroy(self.0.as_ptr()) };
    }
}
