//! The embedded broker, used by other processes and by groups.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Message};
use relay_test_support::kafka::Producer;
use relay_test_support::record::Record;
use relay_test_support::wait::wait_for;
use replicates_relay::broker::{BrokerError, Embedded, PARTITIONS, SESSION_TIMEOUT};

const PATIENCE: Duration = Duration::from_secs(30);

/// Runs kcat, another process, and returns what it printed.
fn kcat(arguments: &[&str], typed: &str) -> String {
    let mut process = Command::new("kcat")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("kcat is installed");
    process
        .stdin
        .take()
        .unwrap()
        .write_all(typed.as_bytes())
        .unwrap();
    let output = process.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "kcat {arguments:?}: {}",
        output.status
    );
    String::from_utf8(output.stdout).unwrap()
}

/// A member of a group that reads every topic of one destination.
fn member(broker: &Embedded, name: &str) -> BaseConsumer {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", broker.brokers())
        .set("group.id", "replicates-relay.billing")
        .set("group.instance.id", name)
        .set(
            "session.timeout.ms",
            SESSION_TIMEOUT.as_millis().to_string(),
        )
        .set("heartbeat.interval.ms", "500")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("topic.metadata.refresh.interval.ms", "500")
        .set("auto.offset.reset", "earliest")
        .create()
        .unwrap();
    consumer
        .subscribe(&["^replicates_to\\.[^.]+\\.billing\\..+"])
        .unwrap();
    consumer
}

fn next_value(consumer: &BaseConsumer) -> Vec<u8> {
    let message = wait_for("a record", PATIENCE, || consumer.poll(Duration::ZERO));
    message.unwrap().payload().unwrap().to_vec()
}

#[test]
fn another_process_produces_and_consumes_at_the_fixed_port() {
    let broker = Embedded::start(0).unwrap();
    let brokers = broker.brokers();
    kcat(
        &["-P", "-b", &brokers, "-t", "cars", "-K", ":"],
        "1:red\n2:blue\n",
    );
    let read = kcat(
        &[
            "-C", "-b", &brokers, "-t", "cars", "-e", "-q", "-f", "%k=%s\n",
        ],
        "",
    );
    let mut lines: Vec<_> = read.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["1=red", "2=blue"]);
}

#[test]
fn a_topic_creates_itself() {
    let broker = Embedded::start(0).unwrap();
    let producer = Producer::to(&broker.brokers());
    producer.send("cars", &Record::new("monolith", "Vehicle", "1"));
    producer.flush();
    let metadata = kcat(&["-L", "-b", &broker.brokers(), "-t", "cars"], "");
    assert!(
        metadata.contains(&format!("\"cars\" with {PARTITIONS} partitions")),
        "{metadata}"
    );
    assert!(
        metadata.contains(&format!("at {}", broker.brokers())),
        "{metadata}"
    );
}

#[test]
fn a_group_reads_by_pattern_and_sees_topics_that_come_later() {
    let broker = Embedded::start(0).unwrap();
    let producer = Producer::to(&broker.brokers());
    let publish = |topic: &str, key: &str| {
        let record = Record::new("monolith", "Vehicle", key);
        producer.send(topic, &record);
        producer.flush();
        record.encode()
    };
    let first = publish("replicates_to.monolith.billing.Vehicle", "1");
    publish("replicates_to.monolith.search.Vehicle", "2");
    let consumer = member(&broker, "relay-1");
    assert_eq!(next_value(&consumer), first);
    let later = publish("replicates_to.monolith.billing.Owner", "3");
    assert_eq!(next_value(&consumer), later);
}

/// A member of a group in another process, once it has read a record.
fn reading_member(broker: &Embedded, topic: &str) -> Child {
    let mut member = Command::new("kcat")
        .args(["-b", &broker.brokers(), "-q", "-u"])
        .args([
            "-X",
            "group.instance.id=relay-1",
            "-X",
            "session.timeout.ms=3000",
        ])
        .args([
            "-X",
            "auto.offset.reset=earliest",
            "-X",
            "enable.auto.commit=false",
        ])
        .args(["-G", "replicates-relay.billing", topic])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut printed = member.stdout.take().unwrap();
    let (tell, heard) = channel();
    std::thread::spawn(move || tell.send(printed.read(&mut [0]).unwrap()));
    assert_eq!(
        heard.recv_timeout(PATIENCE),
        Ok(1),
        "the member has read the record"
    );
    member
}

#[test]
fn a_member_that_died_is_replaced_within_seconds() {
    let broker = Embedded::start(0).unwrap();
    let producer = Producer::to(&broker.brokers());
    let topic = "replicates_to.monolith.billing.Vehicle";
    producer.send(topic, &Record::new("monolith", "Vehicle", "1"));
    producer.flush();
    for _ in 0..2 {
        let mut member = reading_member(&broker, topic);
        member.kill().unwrap();
        member.wait().unwrap();
    }
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = Embedded::start(port).unwrap_err();
    assert!(matches!(error, BrokerError::PortTaken(named) if named == port));
    assert_eq!(
        error.to_string(),
        format!("port {port} is in use by another program; choose another one with --port")
    );
}

#[test]
fn the_port_is_free_again_when_the_broker_has_ended() {
    let broker = Embedded::start(0).unwrap();
    let port: u16 = broker
        .brokers()
        .rsplit(':')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    kcat(&["-L", "-b", &broker.brokers()], "");
    drop(broker);
    Embedded::start(port).unwrap();
}
