//! `plan`: what a new configuration would change, shown on the last records of a running relay, of which none is sent.

use std::process::Command;
use std::time::Duration;

use relay_test_support::kafka::{Producer, committed_offsets, end_offsets};
use relay_test_support::record::Record;
use relay_test_support::relay::{RelayConfig, RelayProcess};
use relay_test_support::scene::Scene;
use relay_test_support::stub_server::StubServer;
use relay_test_support::wait::wait_until;
use serde_json::Value;

const BINARY: &str = env!("CARGO_BIN_EXE_replicates-relay");
const PATIENCE: Duration = Duration::from_secs(30);

/// A relay that has delivered some records of two models.
struct Running {
    scene: Scene,
    consumer: StubServer,
    base: RelayConfig,
    relay: RelayProcess,
}

impl Running {
    fn start() -> Self {
        let scene = Scene::new();
        let consumer = StubServer::accepting();
        let base = RelayConfig::new(&scene);
        let headers = "headers = { \"x-tenant\" = \"main\" }\nmask = [\"plate\"]";
        let config = base
            .clone()
            .destination("billing", &consumer.url(), headers);
        let relay = RelayProcess::start_ready(BINARY, config);
        let producer = Producer::new();
        for model in ["Vehicle", "Driver"] {
            let topic = scene.create_topic("monolith", "billing", model, 2);
            for key in 0..4 {
                let record = Record::new("monolith", model, &key.to_string()).version(10 + key);
                producer.send(&topic, &record.text("plate", "KA-01").text("colour", "red"));
            }
        }
        producer.flush();
        for model in ["Vehicle", "Driver"] {
            let topic = scene.topic("monolith", "billing", model);
            wait_until("all is delivered", PATIENCE, || {
                committed_offsets(&scene.group("billing"), &topic) == end_offsets(&topic)
            });
        }
        Self {
            scene,
            consumer,
            base,
            relay,
        }
    }

    /// Runs `plan` with a file; exit code, lines, messages.
    fn plan(&self, config: &RelayConfig, flags: &[&str]) -> (i32, Vec<String>, String) {
        let path = self.relay.folder().join("new.toml");
        std::fs::write(&path, config.to_toml()).unwrap();
        let output = Command::new(BINARY)
            .arg("--config")
            .arg(&path)
            .arg("plan")
            .args(flags)
            .env("RELAY_URL", self.relay.admin_url())
            .env("SECRET", "s3cret")
            .output()
            .unwrap();
        let lines = String::from_utf8(output.stdout).unwrap();
        (
            output.status.code().unwrap(),
            lines.lines().map(str::to_owned).collect(),
            String::from_utf8(output.stderr).unwrap(),
        )
    }

    fn running(&self) -> RelayConfig {
        let headers = "headers = { \"x-tenant\" = \"main\" }\nmask = [\"plate\"]";
        let url = self.consumer.url();
        self.base.clone().destination("billing", &url, headers)
    }
}

#[test]
fn requests_that_would_change_are_shown_and_none_is_sent() {
    let running = Running::start();
    let (code, lines, said) = running.plan(&running.running(), &["--exit-code"]);
    assert_eq!((code, said.trim()), (0, "nothing changes"));
    assert_eq!(lines, ["billing  0 of 8 requests change"]);

    let lines = "headers = { \"x-tenant\" = \"other\", \"x-key\" = \"env:SECRET\" }\nmask = [\"plate\"]\n\
        [destinations.billing.routes.Vehicle]\nurl = \"/vehicles/{key}\"\nmethod = \"PUT\"\nenvelope = \"attributes\"";
    let other = running
        .base
        .clone()
        .destination("billing", &running.consumer.url(), lines);
    let (code, lines, _) = running.plan(&other, &[]);
    assert_eq!(code, 0);
    let text = lines.join("\n");
    for line in [
        "destinations.billing.headers.x-tenant  \"main\" -> \"other\"",
        "destinations.billing.headers.x-key  (not set) -> \"***\"",
        "    method  POST -> PUT",
        "/replicates_to -> ",
        "/replicates_to/vehicles/3",
        "    header x-tenant  main -> other",
        "    header x-key  (none) -> ***",
        "          + {\"colour\":\"red\",\"plate\":\"***\"}",
        "billing  8 of 8 requests change",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(
        !text.contains("KA-01") && !text.contains("s3cret"),
        "{text}"
    );
    assert_eq!(
        text.matches("method  POST -> PUT").count(),
        4,
        "of vehicles alone"
    );
    let (code, lines, _) = running.plan(&other, &["--exit-code", "--records", "3"]);
    assert_eq!(code, 1);
    assert!(
        lines.contains(&"billing  3 of 3 requests change".to_owned()),
        "{lines:?}"
    );
    assert_eq!(running.consumer.count(), 8, "nothing is sent");
    let groups = running.scene.group("plan");
    let topic = running.scene.topic("monolith", "billing", "Vehicle");
    assert!(
        committed_offsets(&groups, &topic)
            .iter()
            .all(|(_, offset)| *offset < 0),
        "nothing is committed"
    );
}

#[test]
fn destinations_that_would_go_and_records_that_would_not_fit_are_shown() {
    let running = Running::start();
    let lines = "body = { car = \"$attributes.wheels\" }";
    let other = running
        .base
        .clone()
        .destination("billing", &running.consumer.url(), lines);
    let (_, lines, _) = running.plan(&other, &["--json", "--records", "1"]);
    let lines: Vec<Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let change = lines.iter().find(|line| line["id"].is_string()).unwrap();
    assert_eq!(change["after"]["fate"], "quarantined");
    assert_eq!(
        change["after"]["error"],
        "the body wants the attribute \"wheels\", which the record does not have"
    );
    assert_eq!(change["before"]["method"], "POST");
    let summary = lines.last().unwrap();
    assert_eq!(
        (&summary["records"], &summary["changed"]),
        (&1.into(), &1.into())
    );

    let nobody = running
        .base
        .clone()
        .destination("fleet", &running.consumer.url(), "");
    let (_, lines, _) = running.plan(&nobody, &["--destination", "billing"]);
    let gone = lines
        .iter()
        .filter(|line| line.contains("not delivered, there is no such destination"));
    assert_eq!(gone.count(), 8);
    let (code, _, said) = running.plan(&nobody, &["--destination", "biling"]);
    assert_eq!(code, 2);
    assert!(
        said.contains("\"biling\" (did you mean billing?)"),
        "{said}"
    );
}

#[test]
fn what_needs_a_restart_is_shown_and_a_wrong_file_is_refused_whole() {
    let running = Running::start();
    let other = running.running().relay("drain_timeout = \"7s\"");
    let (code, lines, _) = running.plan(&other, &["--exit-code"]);
    assert_eq!(code, 1);
    let line = "relay.drain_timeout  \"25s\" -> \"7s\"  (needs a restart)";
    assert!(lines.contains(&line.to_owned()), "{lines:?}");
    let wrong = running
        .running()
        .destination("fleet", "ftp://x", "concurency = 1");
    let (code, lines, said) = running.plan(&wrong, &[]);
    assert_eq!((code, lines.len()), (2, 0));
    assert!(
        said.contains("concurency is unknown") && said.contains("2 problems"),
        "{said}"
    );
}
