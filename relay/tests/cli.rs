//! The commands that need no running relay, as processes of the real binary.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use relay_test_support::kafka;
use relay_test_support::relay::{RelayConfig, RelayProcess};
use relay_test_support::scene::Scene;
use relay_test_support::services::services;
use relay_test_support::wait::wait_until;
use replicates_relay::config::DEFAULTS;
use serde_json::Value;
use tempfile::TempDir;

const LEAST: &str = r#"
[kafka]
brokers = ["127.0.0.1:1"]
[store]
url = "sqlite://relay.db"
[destinations.billing]
url = "http://127.0.0.1:1/"
egress = { allow = ["127.0.0.0/8"] }
"#;

/// A folder with a `relay.toml`, in which commands run.
struct Folder(TempDir);

impl Folder {
    fn with(text: &str) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        fs::write(folder.path("relay.toml"), text).unwrap();
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Said {
        self.run_with(&[], arguments)
    }

    fn run_with(&self, environment: &[(&str, &str)], arguments: &[&str]) -> Said {
        let output = Command::new(env!("CARGO_BIN_EXE_replicates-relay"))
            .current_dir(self.0.path())
            .env_clear()
            .envs(environment.iter().copied())
            .args(arguments)
            .output()
            .unwrap();
        Said::from(output)
    }
}

/// What a command printed, and how it ended.
#[derive(Debug)]
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

#[test]
fn the_version_names_librdkafka_and_the_revision() {
    let folder = Folder::with("");
    let said = folder.run(&["version"]);
    assert_eq!(said.code, 0);
    let (librdkafka, revision) = (said.out.find("(librdkafka 2."), said.out.find(", rev "));
    assert!(said.out.starts_with("replicates-relay 0.1.0 "), "{said:?}");
    assert!(librdkafka < revision && revision.is_some(), "{said:?}");
    let json: Value = serde_json::from_str(&folder.run(&["version", "--json"]).out).unwrap();
    assert_eq!(json["version"], "0.1.0");
}

#[test]
fn the_defaults_are_the_reference() {
    let said = Folder::with("").run(&["config", "--defaults"]);
    assert_eq!((said.code, said.out.trim_end()), (0, DEFAULTS.trim_end()));
}

#[test]
fn the_effective_configuration_has_all_layers_and_no_secrets() {
    let text = format!("{LEAST}headers = {{ x-api-key = \"env:API_KEY\" }}\n");
    let folder = Folder::with(&text.replace("sqlite://relay.db", "env:STORE"));
    let environment = [
        ("API_KEY", "hunter2"),
        ("STORE", "postgres://relay:hunter2@db/relay"),
        ("RELAY__DESTINATIONS__BILLING__CONCURRENCY", "5"),
    ];
    for arguments in [&["config"][..], &["config", "--effective"]] {
        let said = folder.run_with(&environment, arguments);
        assert_eq!(said.code, 0, "{said:?}");
        let effective: toml::Table = said.out.parse().unwrap();
        let billing = &effective["destinations"]["billing"];
        assert_eq!(billing["concurrency"].as_integer(), Some(5));
        assert_eq!(billing["headers"]["x-api-key"].as_str(), Some("***"));
        assert_eq!(billing["timeout"].as_str(), Some("15s"));
        assert_eq!(
            effective["store"]["url"].as_str(),
            Some("postgres://relay:***@db/relay")
        );
        assert!(!said.out.contains("hunter2"), "{said:?}");
    }
    let said = folder.run_with(&environment, &["config", "--json"]);
    let effective: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(effective["destinations"]["billing"]["concurrency"], 5);
}

#[test]
fn a_wrong_configuration_is_exit_code_2_with_all_its_problems() {
    let folder = Folder::with(&LEAST.replace("[store]", "[store]\nconections_max = 3"));
    for command in ["serve", "check", "migrate", "config"] {
        let said = folder.run_with(&[("RELAY__LOG__COMPRESS", "1")], &[command]);
        assert_eq!(
            (said.code, said.out.as_str()),
            (2, ""),
            "{command}: {said:?}"
        );
        assert_eq!(
            said.err,
            "2 problems in the configuration\n  \
             ./relay.toml:5: store.conections_max is unknown (did you mean connections_max?)\n  \
             RELAY__LOG__COMPRESS: log.compress must be true or false, not 1\n",
            "{command}"
        );
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let folder = Folder::with("");
    for (environment, arguments, name) in [
        (
            &[][..],
            &["check", "--config", "other.toml"][..],
            "other.toml",
        ),
        (&[("RELAY_CONFIG", "third.toml")], &["serve"], "third.toml"),
    ] {
        let said = folder.run_with(environment, arguments);
        assert_eq!(said.code, 2, "{said:?}");
        assert!(
            said.err.starts_with(&format!("cannot read {name}: ")),
            "{said:?}"
        );
    }
}

#[test]
fn what_does_not_exist_is_wrong_usage() {
    let folder = Folder::with(LEAST);
    for arguments in [
        &["plam"][..],
        &["plan", "--records", "0"],
        &["help"],
        &["--version"],
        &["serve", "--migrat"],
        &["tail", "--follow"],
        &["retry"],
        &["retry", "--dry-run"],
        &["retry", "dlv_1", "--rate", "5"],
        &["retry", "--state", "parked"],
        &["destinations", "billing", "pause"],
        &["failures", "dlv_1", "--model", "Vehicle"],
        &["migrate", "--dry-run", "--status"],
        &["check", "--offline", "--create-topics"],
        &["config", "--defaults", "--effective"],
        &["dev", "--destination", "billing"],
        &["dev", "--port", "0"],
    ] {
        let said = folder.run(arguments);
        assert_eq!(
            (said.code, said.out.as_str()),
            (2, ""),
            "{arguments:?}: {said:?}"
        );
    }
    let said = folder.run(&["serve", "--migrat"]);
    assert!(said.err.contains("--migrate"), "{said:?}");
}

#[test]
fn dev_needs_a_destination_that_can_be_one() {
    let folder = Folder::with("");
    let said = folder.run(&["dev"]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("--destination NAME=URL"), "{said:?}");
    let said = folder.run(&[
        "dev",
        "--destination",
        "Bill-ing=nowhere",
        "--secret",
        "whsec_x",
    ]);
    assert_eq!(said.code, 2);
    for message in [
        "--destination: destinations.Bill-ing must be named [a-z][a-z0-9_]{0,62}",
        "--destination: destinations.Bill-ing.url must be an absolute http or https URL",
        "--secret: signing.secrets[0] must hold whsec_ and base64 of 24 to 64 bytes",
    ] {
        assert!(said.err.contains(message), "{said:?}");
    }
    assert!(!folder.path(".replicates-relay").exists());
}

#[test]
fn migrations_are_shown_applied_and_shown_again() {
    let folder = Folder::with(LEAST);
    let said = folder.run(&["migrate", "--dry-run"]);
    assert_eq!(said.code, 0, "{said:?}");
    let begins = "0001_store  would be applied\n";
    assert!(said.out.starts_with(begins), "{said:?}");
    let pending = said.out.lines().count();
    let said = folder.run(&["migrate", "--status", "--json"]);
    let begins = "{\"name\":\"0001_store\",\"applied_at\":null}\n";
    assert!(said.out.starts_with(begins), "{said:?}");
    let said = folder.run(&["migrate"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.starts_with("0001_store  applied 20"), "{said:?}");
    assert_eq!(said.out.lines().count(), pending);
    assert_eq!(folder.run(&["migrate", "--dry-run"]).out, "");
    assert_eq!(folder.run(&["migrate", "--status"]).out, said.out);
}

#[test]
fn a_store_that_is_away_is_named_without_its_password() {
    let folder = Folder::with(&LEAST.replace("sqlite://relay.db", "env:STORE"));
    let environment = [("STORE", "postgres://relay:hunter2@127.0.0.1:1/relay")];
    for command in ["migrate", "serve"] {
        let said = folder.run_with(&environment, &[command]);
        assert_eq!((said.code, said.out.as_str()), (1, ""), "{said:?}");
        assert!(!said.err.contains("hunter2"), "{said:?}");
    }
    let said = folder.run_with(&environment, &["migrate"]);
    let start = "store postgres://relay:***@127.0.0.1:1/relay: the store is unavailable";
    assert!(said.err.starts_with(start), "{said:?}");
}

#[test]
fn a_store_without_its_tables_is_refused_with_the_command_that_makes_them() {
    let folder = Folder::with(LEAST);
    let said = folder.run(&["serve"]);
    assert_eq!((said.code, said.out.as_str()), (1, ""), "{said:?}");
    for part in ["\"ERROR\"", "0001_store", "replicates-relay migrate"] {
        assert!(said.err.contains(part), "{said:?}");
    }
}

#[test]
fn a_broker_that_is_away_makes_the_relay_unready_and_does_not_end_it() {
    let scene = Scene::new();
    let config = RelayConfig::new(&scene).brokers("127.0.0.1:1").destination(
        "billing",
        "http://127.0.0.1:1/",
        "",
    );
    let mut relay = RelayProcess::start(env!("CARGO_BIN_EXE_replicates-relay"), config);
    let limit = Duration::from_secs(60);
    wait_until("only Kafka to be unready", limit, || {
        let Some((503, body)) = relay.fetch("/readyz") else {
            return false;
        };
        let ready: Value = serde_json::from_str(&body).unwrap();
        let failed: Vec<_> = ready["checks"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|check| check["ok"] == false)
            .collect();
        matches!(&failed[..], [check] if check["name"] == "kafka" && check["message"] != "not connected yet")
    });
    assert_eq!(relay.fetch("/healthz").unwrap().0, 200);
    assert!(relay.terminate(limit).success(), "{}", relay.output());
}

#[test]
fn an_offline_check_reads_the_configuration_and_its_secrets_only() {
    let said = Folder::with(LEAST).run(&["check", "--offline"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(
        said.out.lines().collect::<Vec<_>>(),
        [
            "ok    config              ./relay.toml, 1 destinations, 0 disabled",
            "ok    secrets             all references lead somewhere",
            "warn  billing             requests are not signed: set signing.secrets",
            "0 problems, 1 warning",
        ]
    );
}

#[test]
fn a_check_finds_everything_that_is_away() {
    let folder = Folder::with(LEAST);
    let said = folder.run(&["check", "--json"]);
    assert_eq!(said.code, 1, "{said:?}");
    let failed: Vec<Value> = said
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|line: &Value| line["result"] == "fail")
        .collect();
    let names: Vec<_> = failed
        .iter()
        .map(|line| line["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["migrations", "kafka", "billing"], "{said:?}");
    let detail = |position: usize| failed[position]["detail"].as_str().unwrap();
    assert!(detail(0).contains("0001_store"), "{said:?}");
    assert!(detail(1).starts_with("127.0.0.1:1: "), "{said:?}");
    assert!(
        detail(2).ends_with("connection refused (connect)"),
        "{said:?}"
    );
}

#[test]
fn a_check_names_an_address_that_may_not_be_reached() {
    let text = LEAST.replace("allow = [", "deny = [");
    let said = Folder::with(&text).run(&["check"]);
    assert_eq!(said.code, 1, "{said:?}");
    let denied = "FAIL  billing             http://127.0.0.1:1/: 127.0.0.1: egress.deny has 127.0.0.0/8 \
                  (egress_denied)";
    assert!(said.out.contains(denied), "{said:?}");
}

#[test]
fn a_check_connects_to_where_tokens_come_from() {
    let auth = "auth = { type = \"oauth2\", token_url = \"http://127.0.0.1:2/token\", client_id = \"relay\", client_secret = \"file:/proc/sys/kernel/ostype\" }";
    let said = Folder::with(&format!("{LEAST}{auth}\n")).run(&["check"]);
    let refused = "FAIL  billing             http://127.0.0.1:2/token: 127.0.0.1:2: connection refused (connect)";
    assert!(said.out.contains(refused), "{said:?}");
}

/// A broker says that it created a topic before it tells everybody.
fn wait_for_topic(topic: &str) {
    wait_until("the new topic", Duration::from_secs(30), || {
        !kafka::end_offsets(topic).is_empty()
    });
}

#[test]
fn a_check_passes_on_real_services_and_creates_topics() {
    let scene = Scene::new();
    let endpoint = TcpListener::bind("127.0.0.1:0").unwrap();
    let text = format!(
        "[kafka]\nbrokers = [{:?}]\ntopic_prefix = {:?}\n[store]\nurl = {:?}\n\
         [destinations.billing]\nurl = \"http://{}/\"\nsources = [\"monolith\"]\n\
         routes = {{ \"Fleet::Car\" = {{}} }}\negress = {{ allow = [\"127.0.0.0/8\"] }}\n",
        services().brokers,
        scene.topic_prefix(),
        scene.database.url(),
        endpoint.local_addr().unwrap(),
    );
    let folder = Folder::with(&text);
    let topic = scene.topic("monolith", "billing", "Fleet::Car");
    assert_eq!(folder.run(&["migrate"]).code, 0);

    let said = folder.run(&["check"]);
    assert_eq!(said.code, 1, "{said:?}");
    let missing =
        format!("FAIL  billing             {topic} is missing: create it, or use --create-topics");
    assert!(said.out.contains(&missing), "{said:?}");
    assert!(said.out.ends_with("1 problem, 1 warning\n"), "{said:?}");

    let said = folder.run(&["check", "--create-topics"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains(&format!("{topic} created")), "{said:?}");
    wait_for_topic(&topic);

    let said = folder.run(&["check"]);
    assert_eq!(said.code, 0, "{said:?}");
    for line in [
        "ok    store ",
        "ok    migrations ",
        "ok    partitions ",
        "ok    kafka ",
    ] {
        assert!(said.out.contains(line), "{said:?}");
    }
    assert!(said.out.contains("accepts connections"), "{said:?}");
}

#[test]
fn a_compacted_topic_is_refused() {
    let scene = Scene::new();
    let topic = scene.topic("monolith", "billing", "Vehicle");
    kafka::create_topic(&topic, 1, &[("cleanup.policy", "compact")]);
    wait_for_topic(&topic);
    let text = LEAST.replace(
        "[\"127.0.0.1:1\"]",
        &format!(
            "[{:?}]\ntopic_prefix = {:?}",
            services().brokers,
            scene.topic_prefix()
        ),
    );
    let said = Folder::with(&text).run(&["check"]);
    assert!(
        said.out
            .contains(&format!("FAIL  billing             {topic} is compacted")),
        "{said:?}"
    );
}
