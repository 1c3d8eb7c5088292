//! The client against librdkafka's own mock cluster, read back by a consumer.

use std::time::Instant;

use rdkafka_sys::bindings::{
    rd_kafka_assign, rd_kafka_conf_new, rd_kafka_conf_set, rd_kafka_consumer_poll,
    rd_kafka_handle_mock_cluster, rd_kafka_header_get_last, rd_kafka_headers_t,
    rd_kafka_message_destroy, rd_kafka_message_headers, rd_kafka_message_timestamp,
    rd_kafka_mock_cluster_bootstraps, rd_kafka_mock_topic_create, rd_kafka_poll_set_consumer,
    rd_kafka_test_fatal_error, rd_kafka_topic_partition_list_add,
    rd_kafka_topic_partition_list_destroy, rd_kafka_topic_partition_list_new,
};

use super::*;
use crate::murmur2::murmur2;

const TOPIC: &str = "replicates_to.monolith.billing.Vehicle";
const PARTITIONS: i32 = 5;
const PATIENCE: Duration = Duration::from_secs(30);

fn start() -> (Arc<Client>, Arc<Reports>) {
    let properties = vec![("test.mock.num.brokers".to_owned(), "1".to_owned())];
    let bounds = Bounds {
        records_max: 100,
        bytes_max: 1 << 20,
    };
    let settings = Settings::new(properties, bounds, 1_000_000).unwrap();
    let reports = Arc::new(Reports::new(bounds));
    let client = Arc::new(Client::start(&settings, reports.clone()).unwrap());
    let topic = CString::new(TOPIC).unwrap();
    // SAFETY: the client has a mock cluster of its own.
    unsafe {
        let cluster = rd_kafka_handle_mock_cluster(client.handle.as_ptr());
        assert_eq!(
            rd_kafka_mock_topic_create(cluster, topic.as_ptr(), PARTITIONS, 1),
            rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR
        );
    }
    (client, reports)
}

fn message(key: &str, token: usize) -> Message<'_> {
    Message {
        topic: TOPIC,
        key: key.as_bytes(),
        payload: b"payload",
        timestamp_ms: 1_795_329_960_123,
        token,
    }
}

fn drain(client: &Client, reports: &Reports, count: usize) -> Vec<Report> {
    let deadline = Instant::now() + PATIENCE;
    let mut drained = Vec::new();
    while drained.len() < count {
        assert!(
            Instant::now() < deadline,
            "{} of {count} reports",
            drained.len()
        );
        client.poll(Duration::from_millis(100));
        drained.extend(reports.drain(count));
    }
    drained
}

struct Read {
    key: Vec<u8>,
    payload: Vec<u8>,
    partition: i32,
    timestamp_ms: i64,
    headers: Vec<String>,
}

/// Everything on the topic, once `count` records are there.
fn consume(producer: &Client, count: usize) -> Vec<Read> {
    let set = |conf, name: &CStr, value: &CStr| {
        let mut reason = [0; 128];
        // SAFETY: a live configuration; the texts are copied.
        unsafe {
            rd_kafka_conf_set(
                conf,
                name.as_ptr(),
                value.as_ptr(),
                reason.as_mut_ptr(),
                reason.len(),
            )
        };
    };
    // SAFETY: a consumer as in librdkafka's own examples; everything made is destroyed once, after its last use.
    unsafe {
        let conf = rd_kafka_conf_new();
        let cluster = rd_kafka_handle_mock_cluster(producer.handle.as_ptr());
        set(
            conf,
            c"bootstrap.servers",
            CStr::from_ptr(rd_kafka_mock_cluster_bootstraps(cluster)),
        );
        set(conf, c"group.id", c"test");
        let mut reason = [0; 128];
        let consumer = rd_kafka_new(
            rd_kafka_type_t::RD_KAFKA_CONSUMER,
            conf,
            reason.as_mut_ptr(),
            reason.len(),
        );
        rd_kafka_poll_set_consumer(consumer);
        let list = rd_kafka_topic_partition_list_new(PARTITIONS);
        let topic = CString::new(TOPIC).unwrap();
        for partition in 0..PARTITIONS {
            (*rd_kafka_topic_partition_list_add(list, topic.as_ptr(), partition)).offset = 0;
        }
        rd_kafka_assign(consumer, list);
        rd_kafka_topic_partition_list_destroy(list);
        let mut found = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        while found.len() < count {
            assert!(
                Instant::now() < deadline,
                "{} of {count} records",
                found.len()
            );
            let message = rd_kafka_consumer_poll(consumer, 100);
            if message.is_null() {
                continue;
            }
            if (*message).err == rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                found.push(read(message));
            }
            rd_kafka_message_destroy(message);
        }
        rd_kafka_destroy(consumer);
        found
    }
}

unsafe fn read(message: *mut rd_kafka_message_t) -> Read {
    // SAFETY: the caller passes a live message.
    unsafe {
        let bytes =
            |start: *mut c_void, len| std::slice::from_raw_parts(start.cast::<u8>(), len).to_vec();
        let mut headers: *mut rd_kafka_headers_t = ptr::null_mut();
        rd_kafka_message_headers(message, &raw mut headers);
        let header = |name: &CStr| {
            let (mut value, mut len) = (ptr::null(), 0);
            rd_kafka_header_get_last(headers, name.as_ptr(), &raw mut value, &raw mut len);
            format!(
                "{}: {}",
                name.to_string_lossy(),
                String::from_utf8(bytes(value.cast_mut(), len)).unwrap()
            )
        };
        Read {
            key: bytes((*message).key, (*message).key_len),
            payload: bytes((*message).payload, (*message).len),
            partition: (*message).partition,
            timestamp_ms: rd_kafka_message_timestamp(message, ptr::null_mut()),
            headers: vec![header(c"content-type"), header(c"schema-version")],
        }
    }
}

#[test]
fn a_record_arrives_with_its_key_headers_and_time_in_the_partition_that_java_clients_choose() {
    let (client, reports) = start();
    let keys = ["1", "42", "7,a%2Cb", "é", "a-rather-long-key-of-many-bytes"];
    for (token, key) in keys.iter().enumerate() {
        assert_eq!(client.enqueue(&message(key, token)).unwrap(), Enqueued::Yes);
    }
    let drained = drain(&client, &reports, keys.len());
    assert!(
        drained.iter().all(|report| report.error.is_none()),
        "{drained:?}"
    );
    for read in consume(&client, keys.len()) {
        let partitions = PARTITIONS.unsigned_abs();
        assert_eq!(
            read.partition.unsigned_abs(),
            (murmur2(&read.key) & 0x7fff_ffff) % partitions
        );
        assert_eq!(
            read.headers,
            ["content-type: application/x-protobuf", "schema-version: 1"]
        );
        assert_eq!(
            (read.payload.as_slice(), read.timestamp_ms),
            (&b"payload"[..], 1_795_329_960_123)
        );
        assert!(keys.contains(&std::str::from_utf8(&read.key).unwrap()));
    }
}

#[test]
fn a_client_after_a_fatal_error_says_so_and_reports_what_it_held_when_it_retires() {
    let (client, reports) = start();
    // SAFETY: the handle is live.
    unsafe {
        rd_kafka_test_fatal_error(
            client.handle.as_ptr(),
            rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
            c"told to".as_ptr(),
        );
    }
    let refused = client.enqueue(&message("1", 1));
    assert!(matches!(refused, Err(KafkaError::Fatal(_))), "{refused:?}");
    assert_eq!((reports.queued_records(), reports.queued_bytes()), (0, 0));
    client.retire();
}

#[test]
fn what_is_queued_when_a_client_retires_is_reported_as_failed() {
    let bounds = Bounds {
        records_max: 100,
        bytes_max: 1 << 20,
    };
    let nowhere = vec![
        ("bootstrap.servers".to_owned(), "127.0.0.1:1".to_owned()),
        ("log_level".to_owned(), "0".to_owned()),
    ];
    let settings = Settings::new(nowhere, bounds, 1_000_000).unwrap();
    let reports = Arc::new(Reports::new(bounds));
    let client = Arc::new(Client::start(&settings, reports.clone()).unwrap());
    for token in 0..10 {
        assert_eq!(
            client.enqueue(&message("key", token)).unwrap(),
            Enqueued::Yes
        );
    }
    client.retire();
    let drained = reports.drain(100);
    assert_eq!(
        drained
            .iter()
            .map(|report| report.token)
            .collect::<Vec<_>>(),
        (0..10).collect::<Vec<_>>()
    );
    assert!(
        drained
            .iter()
            .all(|report| report.error.as_deref() == Some("Local: Purged in queue")),
        "{drained:?}"
    );
    assert_eq!((reports.queued_records(), reports.queued_bytes()), (0, 0));
}

#[test]
fn the_start_up_needs_no_broker() {
    start_up().unwrap();
}
