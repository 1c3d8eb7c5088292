//! A static member that dies between the two halves of a cooperative rebalance: what it gave up must not stay nobody's.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientConfig, ClientContext, TopicPartitionList};
use relay_test_support::kafka::{Producer, committed_offsets, end_offsets};
use relay_test_support::record::Record;
use relay_test_support::relay::{RelayConfig, RelayProcess};
use relay_test_support::scene::Scene;
use relay_test_support::services::services;
use relay_test_support::stub_server::StubServer;
use relay_test_support::wait::wait_until;

const RELAY: &str = env!("CARGO_BIN_EXE_replicates-relay");

/// A member that is asked to give partitions up, and says nothing more.
struct Dying {
    is_asked: AtomicBool,
}

impl ClientContext for Dying {}

impl ConsumerContext for Dying {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        code: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        if code == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            consumer.incremental_assign(partitions).unwrap();
        } else {
            self.is_asked.store(true, Ordering::Relaxed);
        }
    }
}

#[test]
fn what_a_replica_gave_up_as_it_died_finds_an_owner() {
    let scene = Scene::new();
    let topic = scene.create_topic("monolith", "billing", "Vehicle", 4);
    let endpoint = StubServer::accepting();
    let config = RelayConfig::new(&scene)
        .kafka("session_timeout = \"45s\"")
        .destination("billing", &endpoint.url(), "");
    let dying = ClientConfig::new()
        .set("bootstrap.servers", &services().brokers)
        .set("group.id", scene.group("billing"))
        .set("group.instance.id", "relay-2")
        .set("client.id", "relay-2")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("session.timeout.ms", "45000")
        .set("enable.auto.commit", "false")
        .create_with_context::<_, BaseConsumer<_>>(Dying {
            is_asked: AtomicBool::new(false),
        })
        .unwrap();
    dying.subscribe(&[&topic]).unwrap();
    wait_until("it owns all", Duration::from_secs(30), || {
        drop(dying.poll(Duration::from_millis(100)));
        dying.assignment().unwrap().count() == 4
    });
    let mut first = RelayProcess::start_ready(RELAY, config.clone());
    wait_until("the first half", Duration::from_secs(30), || {
        drop(dying.poll(Duration::from_millis(100)));
        dying.context().is_asked.load(Ordering::Relaxed)
    });

    // It comes back under its name, as a new process does: to what it keeps after the first half.
    let mut second = RelayProcess::start_ready(RELAY, config.replica("relay-2"));
    second.wait_for_output("\"partitions\":\"[\\\"", Duration::from_secs(30));
    let producer = Producer::new();
    for key in 0..100 {
        producer.send(
            &topic,
            &Record::new("monolith", "Vehicle", &key.to_string()),
        );
    }
    producer.flush();
    wait_until(
        "everything to be delivered",
        Duration::from_secs(60),
        || committed_offsets(&scene.group("billing"), &topic) == end_offsets(&topic),
    );
    assert_eq!(endpoint.count(), 100, "each record once");
    first.wait_for_output("nobody owns some partitions", Duration::from_secs(1));
    assert!(first.terminate(Duration::from_secs(30)).success());
    assert!(second.terminate(Duration::from_secs(30)).success());
    // Closing it would wait for the rebalance that it never answers.
    std::mem::forget(dying);
}
