//! The log forgets on time and only what it may, and neither readers nor strange answers hold it up.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use relay_test_support::kafka::Producer;
use relay_test_support::record::Record;
use relay_test_support::relay::{RelayConfig, RelayProcess};
use relay_test_support::scene::Scene;
use relay_test_support::stub_server::{Answer, Request, StubServer};
use relay_test_support::wait::wait_until;
use serde_json::Value;

const BINARY: &str = env!("CARGO_BIN_EXE_replicates-relay");
const PATIENCE: Duration = Duration::from_secs(30);

/// The shortest there is.
const MINUTE: &str = "partition_width = \"1m\"";
const RETENTION: &str = "retention = { success = \"1m\", failure = \"1h\" }";

/// A row lives for a minute, its partition ends within the next, and is dropped by the round after that.
const GONE_WITHIN: Duration = Duration::from_secs(60 + 60 + 40);

/// What no text column takes.
const STRANGE: &[u8] = b"\0\xFF\xFE{\"status\":\0\"\xC3\"}\0";

#[test]
fn delivered_records_are_forgotten_after_a_minute_and_failed_and_undelivered_ones_stay() {
    let (scene, topic, relay, _consumer) = stage(MINUTE, RETENTION, refuse_odd_keys);
    publish(&topic, 0..2);
    wait_until("both are logged", PATIENCE, || {
        attempts(&relay, "0").len() == 1 && attempts(&relay, "1").len() == 1
    });
    let partition = "select tableoid::regclass::text from attempts where outcome = 'delivered'";
    let partition = scene.database.rows(partition).remove(0).remove(0).unwrap();
    let lifetime = "select extract(epoch from expires_at - now())::int from attempts where outcome = 'delivered'";
    let left = scene.database.number(lifetime);
    assert!((50..=60).contains(&left), "{left} s are left of a minute");

    let expired =
        "select count(*) from attempts where outcome = 'delivered' and expires_at <= now()";
    wait_until(
        "the row expires, by the store's clock",
        Duration::from_secs(75),
        || scene.database.number(expired) == 1,
    );
    assert!(
        attempts(&relay, "0").is_empty(),
        "an expired row is hidden at once"
    );
    let exists = format!("select count(*) from pg_class where relname = '{partition}'");
    wait_until("its partition is dropped", GONE_WITHIN, || {
        scene.database.number(&exists) == 0
    });

    assert_eq!(
        attempts(&relay, "1").len(),
        1,
        "a failure stays for an hour"
    );
    let output = relay.command(&["failures", "--state", "rejected", "--json"]);
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 1);
    assert!(
        scene
            .database
            .number("select octet_length(record) from parked")
            > 0
    );
    assert_eq!(
        scene
            .database
            .number("select count(*) from ledger where key = '0'"),
        1
    );
    assert_eq!(relay.fetch("/readyz").map(|(status, _)| status), Some(200));
}

#[test]
fn a_reader_of_four_seconds_holds_up_neither_the_log_nor_the_dropping_of_what_ended() {
    let (scene, topic, relay, _consumer) = stage(MINUTE, RETENTION, |_| Answer::ok());
    publish(&topic, 0..1);
    wait_until("a first record is logged", PATIENCE, || logged(&scene) == 1);
    // One that ended long ago. Attached, so that no reader is waited for.
    scene.database.execute(
        "create table attempts_p20200101t0000 (like attempts including defaults including constraints);
         alter table attempts attach partition attempts_p20200101t0000
           for values from ('2020-01-01 00:00+00') to ('2020-01-01 00:01+00')",
    );
    let is_over = AtomicBool::new(false);
    let mut slowest = Duration::ZERO;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::SeqCst) {
                scene
                    .database
                    .rows("select count(*), pg_sleep(4) from attempts");
            }
        });
        let ended = "select count(*) from pg_class where relname = 'attempts_p20200101t0000'";
        let began = now();
        let mut key = 1;
        while scene.database.number(ended) == 1 && now() - began < Duration::from_secs(45) {
            let sent = now();
            publish(&topic, key..key + 1);
            key += 1;
            let is_logged = || logged(&scene) == i64::try_from(key).unwrap();
            wait_until("a record is logged beside the reader", PATIENCE, is_logged);
            slowest = slowest.max(now() - sent);
        }
        is_over.store(true, Ordering::SeqCst);
        assert_eq!(
            scene.database.number(ended),
            0,
            "the ended partition is dropped"
        );
    });
    // Held up, one of so many would wait for nearly four.
    assert!(
        slowest < Duration::from_secs(3),
        "a record took {slowest:?} into the log"
    );
    assert_eq!(relay.fetch("/readyz").map(|(status, _)| status), Some(200));
}

#[test]
fn readiness_fails_and_says_so_while_the_next_partition_is_missing() {
    // Partitions as wide as a day are looked after every ten minutes: nobody mends them meanwhile.
    let (scene, _topic, mut relay, _consumer) = stage("", "", |_| Answer::ok());
    assert_eq!(relay.metric("log_partitions_ahead"), Some(3.0));
    scene.database.execute(
        "do $$ declare name text; begin
           for name in select relname from pg_class where relkind = 'r' and relispartition
             and relname > to_char(now() at time zone 'utc' + interval '30 days', '\"attempts_p\"YYYYMMDD\"t\"HH24MI')
           loop execute 'drop table ' || name; end loop;
         end $$",
    );
    let failing = || -> Vec<(Value, Value)> {
        let (status, body) = relay.fetch("/readyz").unwrap();
        assert_eq!(status, 503, "{body}");
        let answer: Value = serde_json::from_str(&body).unwrap();
        let checks = answer["checks"].as_array().unwrap().iter();
        let failing = checks.filter(|check| check["ok"] == false);
        failing
            .map(|check| (check["name"].clone(), check["message"].clone()))
            .collect()
    };
    // On a busy machine the brokers may not have answered all consumers yet.
    wait_until("nothing else fails", PATIENCE, || failing().len() == 1);
    let missing = "the next partition of the log is missing";
    assert_eq!(failing(), [("partitions".into(), missing.into())]);

    relay.restart();
    relay.wait_until_ready();
}

#[test]
fn an_answer_with_nul_bytes_and_invalid_utf8_does_not_stop_the_log() {
    let (scene, topic, relay, _consumer) = stage("", "log_body = \"all\"", |request| {
        let status = refuse_odd_keys(request).status;
        Answer::status(status)
            .header("content-type", "application/json")
            .body(STRANGE)
    });
    publish(&topic, 0..20);
    wait_until("all are logged", PATIENCE, || logged(&scene) == 20);
    let whole =
        "select count(*) from attempts where response_body is not null and status is not null";
    assert_eq!(
        scene.database.number(whole),
        20,
        "none was reduced to a bare row"
    );
    for (key, outcome) in [("0", "delivered"), ("1", "rejected")] {
        let attempts = attempts(&relay, key);
        assert_eq!(attempts.len(), 1);
        assert_eq!(attempts[0]["outcome"], outcome);
        assert_eq!(attempts[0]["response"]["body_encoding"], "base64");
        assert_eq!(
            attempts[0]["response"]["body"],
            "AP/+eyJzdGF0dXMiOgAiwyJ9AA=="
        );
    }
    let output = relay.command(&["failures", "--json"]);
    assert_eq!(
        String::from_utf8(output.stdout).unwrap().lines().count(),
        10
    );
    publish(&topic, 20..22);
    wait_until("the log goes on", PATIENCE, || logged(&scene) == 22);
}

/// A scene with a topic, and a relay that delivers it to a consumer.
fn stage(
    store: &str,
    destination: &str,
    program: impl Fn(&Request) -> Answer + Send + Sync + 'static,
) -> (Scene, String, RelayProcess, StubServer) {
    let scene = Scene::new();
    let topic = scene.create_topic("monolith", "billing", "Vehicle", 1);
    let consumer = StubServer::start(program);
    let config =
        RelayConfig::new(&scene)
            .store(store)
            .destination("billing", &consumer.url(), destination);
    let relay = RelayProcess::start_ready(BINARY, config);
    (scene, topic, relay, consumer)
}

fn refuse_odd_keys(request: &Request) -> Answer {
    match request.key().parse::<u64>().unwrap() % 2 {
        0 => Answer::ok(),
        _ => Answer::status(422),
    }
}

fn publish(topic: &str, keys: std::ops::Range<u64>) {
    let producer = Producer::new();
    for key in keys {
        let record = Record::new("monolith", "Vehicle", &key.to_string());
        producer.send(topic, &record.text("registration", "KA-01"));
    }
    producer.flush();
}

/// What the API shows of a key's log.
fn attempts(relay: &RelayProcess, key: &str) -> Vec<Value> {
    let (status, body) = relay.fetch(&format!("/api/v1/attempts?key={key}")).unwrap();
    assert_eq!(status, 200, "{body}");
    let answer: Value = serde_json::from_str(&body).unwrap();
    answer["attempts"].as_array().unwrap().clone()
}

fn logged(scene: &Scene) -> i64 {
    scene.database.number("select count(*) from attempts")
}

#[expect(
    clippy::disallowed_methods,
    reason = "the relay is told the time; its tests look at the clock"
)]
fn now() -> Instant {
    Instant::now()
}
