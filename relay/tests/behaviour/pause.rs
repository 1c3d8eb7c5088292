//! An operator pauses a destination: all replicas obey, nothing is lost, and a restart changes nothing of it.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use relay_test_support::kafka::{Producer, committed_offsets, end_offsets};
use relay_test_support::record::Record;
use relay_test_support::relay::{RelayConfig, RelayProcess};
use relay_test_support::scene::Scene;
use relay_test_support::stub_server::{Answer, StubServer};
use relay_test_support::wait::wait_until;

const BINARY: &str = env!("CARGO_BIN_EXE_replicates-relay");
const PATIENCE: Duration = Duration::from_secs(30);

/// All replicas obey within about 2 s; a machine with much else to do may take longer.
const OBEYED_WITHIN: Duration = Duration::from_secs(10);

/// Far longer than a record takes that nothing holds.
const QUIET_SECONDS: f64 = 3.0;

/// Longer than a request that has left is on its way.
const UNDER_WAY_SECONDS: f64 = 1.0;

/// Between two records of a stream.
const STREAM_INTERVAL: Duration = Duration::from_millis(20);

#[test]
fn a_paused_destination_sends_nothing_on_any_replica_until_it_is_resumed_even_after_a_restart() {
    let scene = Scene::new();
    let topic = scene.create_topic("monolith", "billing", "Vehicle", 4);
    let consumer = StubServer::accepting();
    let config = RelayConfig::new(&scene).destination("billing", &consumer.url(), "");
    let second = RelayProcess::start_ready(BINARY, config.replica("relay-2"));
    let mut first = RelayProcess::start_ready(BINARY, config);
    publish(&topic, 0..40);
    wait_until_all_is_committed(&scene, &topic);
    let stream = Stream::start(&topic, 40);
    wait_until("the stream is delivered", PATIENCE, || {
        consumer.count() > 60
    });

    let paused = first.command(&[
        "destinations",
        "billing",
        "pause",
        "--reason",
        "they migrate",
    ]);
    assert!(paused.status.success(), "{paused:?}");
    wait_until_paused(&[&first, &second]);
    let sent = count_of_what_has_left(&second, &consumer);
    assert_stays_quiet(&second, &consumer, sent);

    first.restart();
    first.wait_until_ready();
    wait_until_paused(&[&first]);
    assert_stays_quiet(&first, &consumer, sent);
    let published = stream.stop();
    assert!(published > sent, "records wait, {published}");
    let (_, text) = second.fetch("/api/v1/destinations/billing").unwrap();
    assert!(text.contains("they migrate"), "{text}");

    let resumed = second.command(&["destinations", "billing", "resume"]);
    assert!(resumed.status.success(), "{resumed:?}");
    wait_until_all_is_committed(&scene, &topic);
    assert_eq!(consumer.count(), published, "each record once");
    let acknowledged = scene.database.number("select count(*) from ledger");
    assert_eq!(acknowledged, i64::try_from(published).unwrap());
    let audit = scene
        .database
        .rows("select action, target, detail from audit order by id");
    let said = |text: &str| Some(text.to_owned());
    assert_eq!(
        audit,
        [
            [said("pause"), said("billing"), said("they migrate")],
            [said("resume"), said("billing"), None],
        ]
    );
}

#[test]
fn what_is_parked_waits_for_the_end_of_a_pause_and_pays_nothing_for_it() {
    let scene = Scene::new();
    let topic = scene.create_topic("monolith", "billing", "Vehicle", 1);
    let consumer = StubServer::start(|_| Answer::status(409));
    let retry =
        "retry = { max_retries = 100, in_place = 0, base = \"200ms\", factor = 1.0, jitter = 0.0 }";
    let config = RelayConfig::new(&scene).destination("billing", &consumer.url(), retry);
    let relay = RelayProcess::start_ready(BINARY, config);
    publish(&topic, 0..1);
    wait_until("it has been retried", PATIENCE, || consumer.count() >= 3);
    let reason = "{\"reason\":\"they migrate\"}";
    let (status, _) = relay
        .post("/api/v1/destinations/billing/pause", reason)
        .unwrap();
    assert_eq!(status, 200);
    wait_until_paused(&[&relay]);
    let tried = count_of_what_has_left(&relay, &consumer);
    assert_stays_quiet(&relay, &consumer, tried);
    assert_eq!(charged(&scene), i64::try_from(tried).unwrap());

    consumer.answer_with(|_| Answer::ok());
    let (status, _) = relay
        .post("/api/v1/destinations/billing/resume", "")
        .unwrap();
    assert_eq!(status, 200);
    wait_until("it is delivered", PATIENCE, || {
        scene.database.number("select count(*) from ledger") == 1
    });
    assert_eq!(consumer.count(), tried + 1);
}

fn publish(topic: &str, keys: std::ops::Range<u64>) {
    let producer = Producer::new();
    for key in keys {
        producer.send(topic, &Record::new("monolith", "Vehicle", &key.to_string()));
    }
    producer.flush();
}

/// Records of new keys, one after the other, until it is stopped.
struct Stream {
    stop: Sender<()>,
    thread: JoinHandle<u64>,
}

impl Stream {
    fn start(topic: &str, first_key: u64) -> Self {
        let (stop, stopped) = channel();
        let topic = topic.to_owned();
        let thread = std::thread::spawn(move || {
            let producer = Producer::new();
            let mut key = first_key;
            while stopped.recv_timeout(STREAM_INTERVAL) == Err(RecvTimeoutError::Timeout) {
                producer.send(
                    &topic,
                    &Record::new("monolith", "Vehicle", &key.to_string()),
                );
                producer.flush();
                key += 1;
            }
            key
        });
        Self { stop, thread }
    }

    /// The key that would have been next.
    fn stop(self) -> usize {
        drop(self.stop);
        usize::try_from(self.thread.join().unwrap()).unwrap()
    }
}

fn charged(scene: &Scene) -> i64 {
    scene.database.number("select charged from parked")
}

/// Waits until each of these replicas says so of itself: the API alone would show the worst of all.
fn wait_until_paused(relays: &[&RelayProcess]) {
    let is_paused = |relay: &&RelayProcess| {
        let state = relay.fetch("/api/v1/destinations/billing");
        paused_seconds(relay) > 0.0
            && state.is_some_and(|(_, text)| text.contains("\"state\":\"paused\""))
    };
    wait_until("billing is paused", OBEYED_WITHIN, || {
        relays.iter().all(is_paused)
    });
}

/// How many requests there were once those that were under way have arrived.
fn count_of_what_has_left(relay: &RelayProcess, consumer: &StubServer) -> usize {
    let began = paused_seconds(relay);
    wait_until("what was under way has arrived", PATIENCE, || {
        paused_seconds(relay) > began + UNDER_WAY_SECONDS
    });
    consumer.count()
}

/// Nothing is sent while a pause goes on for as long as that.
fn assert_stays_quiet(relay: &RelayProcess, consumer: &StubServer, count: usize) {
    let began = paused_seconds(relay);
    wait_until("the silence has lasted", PATIENCE, || {
        assert_eq!(consumer.count(), count, "nothing more is sent");
        paused_seconds(relay) > began + QUIET_SECONDS
    });
}

fn paused_seconds(relay: &RelayProcess) -> f64 {
    let paused = "held_seconds_total{destination=\"billing\",reason=\"paused\"}";
    relay.metric(paused).unwrap_or_default()
}

fn wait_until_all_is_committed(scene: &Scene, topic: &str) {
    wait_until("everything is delivered and committed", PATIENCE, || {
        committed_offsets(&scene.group("billing"), topic) == end_offsets(topic)
    });
}
