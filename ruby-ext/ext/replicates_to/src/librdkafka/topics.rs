//! Looking at topics and creating them. These wait for a broker, so they run on a thread of their own.

use std::{ffi::CString, ptr, time::Duration};

use rdkafka_sys::bindings::{
    rd_kafka_AdminOptions_destroy, rd_kafka_AdminOptions_new,
    rd_kafka_AdminOptions_set_request_timeout, rd_kafka_CreateTopics,
    rd_kafka_CreateTopics_result_topics, rd_kafka_NewTopic_destroy, rd_kafka_NewTopic_new,
    rd_kafka_admin_op_t, rd_kafka_event_CreateTopics_result, rd_kafka_event_destroy,
    rd_kafka_event_error, rd_kafka_event_error_string, rd_kafka_event_t, rd_kafka_metadata,
    rd_kafka_metadata_destroy, rd_kafka_queue_destroy, rd_kafka_queue_new, rd_kafka_queue_poll,
    rd_kafka_resp_err_t, rd_kafka_topic_result_error, rd_kafka_topic_result_error_string,
};

use super::{Client, KafkaError, milliseconds, reason, text};

impl Client {
    /// How many partitions a topic has; `None` when there is no such topic.
    pub fn partitions(&self, name: &str, timeout: Duration) -> Result<Option<usize>, KafkaError> {
        let topic = self.topic(name)?;
        let mut metadata = ptr::null();
        // SAFETY: handle and topic are live; on success `metadata` is ours to destroy.
        let error = unsafe {
            rd_kafka_metadata(
                self.handle.as_ptr(),
                0,
                topic,
                &raw mut metadata,
                milliseconds(timeout),
            )
        };
        if error != rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Err(self.unreachable(reason(error)));
        }
        // SAFETY: `metadata` lists `topic_cnt` topics; it is not used after it is destroyed.
        let found = unsafe {
            let topics = &*metadata;
            let topic = (topics.topic_cnt > 0).then(|| &*topics.topics);
            let found = topic.map(|topic| (topic.err, topic.partition_cnt));
            rd_kafka_metadata_destroy(metadata);
            found
        };
        match found {
            None
            | Some((
                rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART
                | rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC,
                _,
            )) => Ok(None),
            Some((rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR, count)) => {
                Ok(Some(usize::try_from(count).unwrap_or(0)))
            }
            Some((error, _)) => Err(KafkaError::Topic {
                topic: name.to_owned(),
                reason: reason(error),
            }),
        }
    }

    /// Creates a topic; one that exists already is left as it is. A replication factor of -1 means the broker's.
    pub fn create_topic(
        &self,
        name: &str,
        partitions: i32,
        replication_factor: i32,
        timeout: Duration,
    ) -> Result<(), KafkaError> {
        let refused = |reason: String| KafkaError::Topic {
            topic: name.to_owned(),
            reason,
        };
        let c_name = CString::new(name).map_err(|_| refused("name holds a NUL".to_owned()))?;
        let mut why = [0; 512];
        // SAFETY: everything made here is destroyed below, once, after its last use; the name is copied.
        unsafe {
            let mut topic = rd_kafka_NewTopic_new(
                c_name.as_ptr(),
                partitions,
                replication_factor,
                why.as_mut_ptr(),
                why.len(),
            );
            if topic.is_null() {
                return Err(refused(text(why.as_ptr())));
            }
            let options = rd_kafka_AdminOptions_new(
                self.handle.as_ptr(),
                rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_CREATETOPICS,
            );
            rd_kafka_AdminOptions_set_request_timeout(
                options,
                milliseconds(timeout),
                why.as_mut_ptr(),
                why.len(),
            );
            let queue = rd_kafka_queue_new(self.handle.as_ptr());
            rd_kafka_CreateTopics(self.handle.as_ptr(), &raw mut topic, 1, options, queue);
            let event = rd_kafka_queue_poll(queue, milliseconds(timeout));
            let created = self.created(name, event);
            if !event.is_null() {
                rd_kafka_event_destroy(event);
            }
            rd_kafka_queue_destroy(queue);
            rd_kafka_AdminOptions_destroy(options);
            rd_kafka_NewTopic_destroy(topic);
            created
        }
    }

    /// Reads the answer to `CreateTopics`; null when none came.
    unsafe fn created(&self, name: &str, event: *mut rd_kafka_event_t) -> Result<(), KafkaError> {
        if event.is_null() {
            return Err(self.unreachable("no answer in time".to_owned()));
        }
        // SAFETY: the event is live and answers CreateTopics for one topic.
        unsafe {
            if rd_kafka_event_error(event) != rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                return Err(self.unreachable(text(rd_kafka_event_error_string(event))));
            }
            let mut count = 0;
            let results = rd_kafka_CreateTopics_result_topics(
                rd_kafka_event_CreateTopics_result(event),
                &raw mut count,
            );
            assert_eq!(
                count, 1,
                "CreateTopics answers for the one topic it was asked for"
            );
            match rd_kafka_topic_result_error(*results) {
                rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR
                | rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS => Ok(()),
                error => {
                    let told = text(rd_kafka_topic_result_error_string(*results));
                    let reason = if told.is_empty() { reason(error) } else { told };
                    Err(KafkaError::Topic {
                        topic: name.to_owned(),
                        reason,
                    })
                }
            }
        }
    }

    fn unreachable(&self, reason: String) -> KafkaError {
        // Complaints arrive by polling, and nobody may have polled yet.
        self.poll(Duration::ZERO);
        let reason = self.complaint().unwrap_or(reason);
        KafkaError::Unreachable {
            brokers: self.brokers.clone(),
            reason,
        }
    }
}
