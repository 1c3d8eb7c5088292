//! The store fails over while records arrive: the relay goes on by itself at the new primary, and nothing is lost by it.

use std::collections::HashMap;
use std::ops::Range;
use std::time::Duration;

use relay_test_support::history::order_violations;
use relay_test_support::kafka::{Producer, committed_offsets, end_offsets};
use relay_test_support::postgres_pair::PostgresPair;
use relay_test_support::record::Record;
use relay_test_support::relay::{RelayConfig, RelayProcess};
use relay_test_support::scene::Scene;
use relay_test_support::stub_server::StubServer;
use relay_test_support::wait::wait_until;

const BINARY: &str = env!("CARGO_BIN_EXE_replicates-relay");
const PATIENCE: Duration = Duration::from_secs(120);
const KEYS: u64 = 100;

/// Records before, during and after.
const PUBLISHED: u64 = 3_000;

struct Failover {
    servers: PostgresPair,
    scene: Scene,
    topic: String,
    consumer: StubServer,
    relay: RelayProcess,
}

impl Failover {
    /// Deliveries are under way, and so are their writes.
    fn begin() -> Self {
        let servers = PostgresPair::start();
        let scene = Scene::new();
        let topic = scene.create_topic("monolith", "billing", "Vehicle", 4);
        let consumer = StubServer::accepting();
        let config = RelayConfig::new(&scene)
            .store_url(&servers.url())
            .section("log", "flush_rows = 20")
            .destination("billing", &consumer.url(), "concurrency = 16");
        let relay = RelayProcess::start_ready(BINARY, config);
        publish(&topic, 0..PUBLISHED / 3);
        // Of each key that is read at once only the newest need be sent.
        wait_until("some are delivered", PATIENCE, || consumer.count() > 20);
        Self {
            servers,
            scene,
            topic,
            consumer,
            relay,
        }
    }

    /// The primary is of no use any more; records go on arriving, and then the standby takes its place.
    fn go_on_without_the_primary(&self) {
        publish(&self.topic, PUBLISHED / 3..PUBLISHED * 2 / 3);
        let held = "the log cannot be written; delivery holds until it can";
        self.relay.wait_for_output(held, PATIENCE);
        self.servers.promote();
        self.servers.move_address();
        publish(&self.topic, PUBLISHED * 2 / 3..PUBLISHED);
        let group = self.scene.group("billing");
        wait_until("everything is committed", PATIENCE, || {
            committed_offsets(&group, &self.topic) == end_offsets(&self.topic)
        });
    }

    fn assert_that_nothing_is_lost(&self) {
        let exchanges = self.consumer.exchanges();
        assert_eq!(order_violations(&exchanges), Vec::<String>::new());
        let mut newest: HashMap<String, u64> = HashMap::new();
        for exchange in &exchanges {
            let version = newest.entry(exchange.request.stream_key()).or_default();
            *version = exchange.request.version().max(*version);
        }
        let mut newest: Vec<u64> = newest.into_values().collect();
        newest.sort_unstable();
        let last: Vec<u64> = (PUBLISHED - KEYS + 1..=PUBLISHED).collect();
        assert_eq!(newest, last, "each key's last version is delivered");

        let log = self.servers.standby();
        let ended = |rows: &str| {
            let of_all = "from attempts where outcome in ('delivered', 'superseded')";
            log.number(&format!("select {rows} {of_all}"))
                .unsigned_abs()
        };
        assert_eq!(ended("count(*)"), PUBLISHED, "each record ends once");
        assert_eq!(ended("count(distinct version)"), PUBLISHED, "each of them");
        let delivered = "select count(*) from attempts where outcome = 'delivered'";
        assert_eq!(log.number(delivered).unsigned_abs(), exchanges.len() as u64);
        let blamed = self.relay.output().contains("the store refused a row");
        assert!(!blamed, "no row was taken for a bad one");
    }
}

/// The versions of all keys, in turn.
fn publish(topic: &str, numbers: Range<u64>) {
    let producer = Producer::new();
    for number in numbers {
        let key = (number % KEYS).to_string();
        let record = Record::new("monolith", "Vehicle", &key).version(number + 1);
        producer.send(topic, &record);
    }
    producer.flush();
}

#[test]
fn a_primary_that_crashes_is_replaced_by_its_standby_and_nothing_is_lost() {
    let failover = Failover::begin();
    failover.servers.primary().crash();
    failover.go_on_without_the_primary();
    failover.assert_that_nothing_is_lost();
}

#[test]
fn connections_to_a_primary_that_was_made_read_only_are_given_up() {
    let failover = Failover::begin();
    let former = failover.servers.primary();
    former.make_read_only();
    failover.go_on_without_the_primary();
    failover.assert_that_nothing_is_lost();
    let connections =
        "select count(*) from pg_stat_activity where application_name = 'replicates-relay'";
    wait_until("nobody talks to the former primary", PATIENCE, || {
        // The admin's connections are looked at when they are used.
        failover.relay.fetch("/readyz");
        former.number(connections) == 0
    });
}
