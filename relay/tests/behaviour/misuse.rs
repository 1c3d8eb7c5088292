//! A relay that cannot start says what is missing and how to mend it; one that can wait waits, and says for what.

use std::process::{Command, Output};
use std::time::Duration;

use relay_test_support::kafka::Producer;
use relay_test_support::port::free_port;
use relay_test_support::record::Record;
use relay_test_support::relay::{RelayConfig, RelayProcess};
use relay_test_support::scene::Scene;
use relay_test_support::services::services;
use relay_test_support::stub_server::StubServer;
use relay_test_support::tcp_proxy::{Flow, TcpProxy};
use relay_test_support::wait::wait_until;
use serde_json::Value;

const BINARY: &str = env!("CARGO_BIN_EXE_replicates-relay");
const PATIENCE: Duration = Duration::from_secs(30);

const NOWHERE: &str = "http://127.0.0.1:1/";
const PASSWORD: &str = "hunter2-of-the-store";

#[test]
fn a_store_without_its_tables_is_refused_and_the_command_that_makes_them_is_named() {
    let scene = Scene::new();
    let config = RelayConfig::new(&scene).destination("billing", NOWHERE, "");
    let refused = run(&config.to_toml(), &["serve"]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let said = text(&refused);
    assert!(said.contains("pending migrations"), "{said}");
    assert!(said.contains("replicates-relay migrate"), "{said}");
    let tables = "select count(*) from information_schema.tables where table_schema = 'public'";
    assert_eq!(scene.database.number(tables), 0, "nothing was made unasked");

    let migrated = run(&config.to_toml(), &["migrate"]);
    assert_eq!(migrated.status.code(), Some(0), "{migrated:?}");
    assert!(scene.database.number(tables) > 5);
}

#[test]
fn a_store_that_cannot_be_reached_ends_the_start_with_its_reason_and_without_its_password() {
    let scene = Scene::new();
    let port = free_port();
    let url = format!("postgres://relay:{PASSWORD}@127.0.0.1:{port}/relay");
    let config = RelayConfig::new(&scene)
        .store_url("env:STORE_URL")
        .destination("billing", NOWHERE, "");
    for arguments in [&["serve"][..], &["serve", "--migrate"], &["migrate"]] {
        let output = run_with(&config.to_toml(), arguments, &[("STORE_URL", &url)]);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
        let said = text(&output);
        assert!(said.contains("store"), "{arguments:?}: {said}");
        assert!(
            said.to_lowercase().contains("refused"),
            "{arguments:?}: {said}"
        );
        assert!(!said.contains(PASSWORD), "{arguments:?}: {said}");
    }
}

#[test]
fn a_database_that_does_not_exist_is_named() {
    let scene = Scene::new();
    let (server, _) = services().postgres_url.rsplit_once('/').unwrap();
    let config = RelayConfig::new(&scene)
        .store_url(&format!("{server}/no_such_place"))
        .destination("billing", NOWHERE, "");
    let output = run(&config.to_toml(), &["serve", "--migrate"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text(&output).contains("no_such_place"), "{output:?}");
}

#[test]
fn all_problems_of_a_file_are_told_at_once_with_the_nearest_names_and_exit_code_2() {
    let file = "[kafka]\nbroker = [\"127.0.0.1:9092\"]\n[store]\nurl = \"mysql://x/y\"\npartition_width = \"10y\"\n\
        [destinations.Billing]\nurl = \"http://billing/\"\n[destinations.search]\nurl = \"search\"\ntimout = \"5s\"\n\
        retry = { max_retries = 1000 }\n[log]\nflush_rows = \"many\"\n";
    for arguments in [
        &["serve"][..],
        &["check", "--offline"],
        &["migrate"],
        &["config"],
    ] {
        let output = run(file, arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        let said = text(&output);
        for part in [
            "relay.toml:2",
            "broker",
            "brokers",
            "mysql://x/y",
            "10y",
            "Billing",
            "\"search\"",
            "timout",
            "timeout",
            "1000",
            "\"many\"",
        ] {
            assert!(
                said.contains(part),
                "{arguments:?} says nothing of {part}:\n{said}"
            );
        }
    }
}

#[test]
fn a_broker_that_does_not_listen_is_named_and_the_relay_goes_on_trying() {
    let scene = Scene::new();
    let broker = format!("127.0.0.1:{}", free_port());
    let config = RelayConfig::new(&scene)
        .brokers(&broker)
        .destination("billing", NOWHERE, "");
    let relay = RelayProcess::start(BINARY, config);
    wait_until("the broker is named", PATIENCE, || {
        let output = relay.output();
        output
            .lines()
            .any(|line| line.contains(&broker) && line.contains("Connection refused"))
    });
    wait_until_kafka_alone_is_denied(&relay);
    assert_eq!(relay.fetch("/healthz").map(|(status, _)| status), Some(200));
}

#[test]
fn a_broker_that_is_away_at_the_start_is_waited_for() {
    let scene = Scene::new();
    let topic = scene.create_topic("monolith", "billing", "Vehicle", 1);
    let consumer = StubServer::accepting();
    let cable = TcpProxy::to(&services().brokers);
    cable.set(Flow::Cut);
    let config = RelayConfig::new(&scene)
        .brokers(&cable.address().to_string())
        .destination("billing", &consumer.url(), "");
    let mut relay = RelayProcess::start(BINARY, config);
    wait_until_kafka_alone_is_denied(&relay);

    publish(&topic);
    cable.set(Flow::Pass);
    relay.wait_until_ready();
    consumer.wait_until("the record", PATIENCE, |exchanges| !exchanges.is_empty());
}

#[test]
fn a_topic_that_is_missing_at_the_start_is_found_when_it_appears() {
    let scene = Scene::new();
    let consumer = StubServer::accepting();
    let config = RelayConfig::new(&scene).destination("billing", &consumer.url(), "");
    let _relay = RelayProcess::start_ready(BINARY, config);
    let topic = scene.create_topic("monolith", "billing", "Vehicle", 1);
    publish(&topic);
    consumer.wait_until("the record of the new topic", PATIENCE, |exchanges| {
        !exchanges.is_empty()
    });
}

fn publish(topic: &str) {
    let producer = Producer::new();
    producer.send(topic, &Record::new("monolith", "Vehicle", "1"));
    producer.flush();
}

fn wait_until_kafka_alone_is_denied(relay: &RelayProcess) {
    wait_until("readiness says that the broker is down", PATIENCE, || {
        let answer = relay.fetch("/readyz");
        answer.is_some_and(|(status, body)| {
            status == 503 && denied(&body) == ["kafka"] && body.contains("brokers are down")
        })
    });
}

/// The checks of `/readyz` that fail.
fn denied(body: &str) -> Vec<String> {
    let answer: Value = serde_json::from_str(body).unwrap();
    let checks = answer["checks"].as_array().unwrap();
    let denied = checks.iter().filter(|check| check["ok"] == false);
    denied
        .map(|check| check["name"].as_str().unwrap().to_owned())
        .collect()
}

fn run(toml: &str, arguments: &[&str]) -> Output {
    run_with(toml, arguments, &[])
}

/// Runs a command that ends by itself, in a folder with this `relay.toml`.
fn run_with(toml: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("relay.toml"), toml).unwrap();
    Command::new(BINARY)
        .args(arguments)
        .current_dir(folder.path())
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}
