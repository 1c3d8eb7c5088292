//! What must not be seen: a sensitive value and the relay's secrets, with a consumer that echoes all it is sent.

use std::fmt::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use relay_test_support::kafka::Producer;
use relay_test_support::record::Record;
use relay_test_support::relay::{RelayConfig, RelayProcess};
use relay_test_support::scene::Scene;
use relay_test_support::stub_server::{Answer, Request, StubServer};
use relay_test_support::wait::wait_until;

const BINARY: &str = env!("CARGO_BIN_EXE_replicates-relay");
const PATIENCE: Duration = Duration::from_secs(30);

/// A quote, a letter beyond ASCII and a slash: they are written differently in JSON, in hex and in a URL.
const PHONE: &str = "+49/170-\"5551234\"-Grün";
/// What is left of it however it is escaped.
const PHONE_PART: &str = "5551234";
const API_KEY: &str = "key-7f3a9c1e5b";
const PASSWORD: &str = "open-sesame-81c2";
/// `relay:` and the password.
const BASIC: &str = "cmVsYXk6b3Blbi1zZXNhbWUtODFjMg==";
/// What an authorization server hands out for the client's secret.
const TOKEN: &str = "token-4d0be2a97c31";
const CLIENT_SECRET: &str = "client-93ab04fe";
const SIGNING_KEY: &str = "cmVwbGljYXRlcy10by10ZXN0LXZlY3Rvci1zZWNyZXQ=";

const BY_PASSWORD: &str =
    "auth = { type = \"basic\", username = \"relay\", password = \"env:BEHAVIOUR_PASSWORD\" }";

const DESTINATION: &str = "log_body = \"all\"\n\
    headers = { \"x-api-key\" = \"env:BEHAVIOUR_API_KEY\" }\n\
    signing = { secrets = [\"env:BEHAVIOUR_SIGNING\"] }\n\
    retry = { max_retries = 1, in_place = 0, base = \"50ms\", factor = 1.0, cap = \"50ms\" }";

#[test]
fn no_secret_is_seen_anywhere_when_bodies_are_stored_as_they_are() {
    nothing_is_seen("compress = false", BY_PASSWORD, &format!("Basic {BASIC}"));
}

#[test]
fn no_secret_is_seen_anywhere_when_bodies_are_compressed() {
    nothing_is_seen("compress = true", BY_PASSWORD, &format!("Basic {BASIC}"));
}

#[test]
fn no_token_is_seen_anywhere() {
    let authority = StubServer::start(|_| {
        let issued = format!(r#"{{"access_token":"{TOKEN}","token_type":"Bearer"}}"#);
        Answer::status(200).json(&issued)
    });
    let auth = format!(
        "auth = {{ type = \"oauth2\", token_url = {:?}, client_id = \"relay\", client_secret = \"env:BEHAVIOUR_CLIENT\" }}",
        authority.url()
    );
    nothing_is_seen("compress = false", &auth, &format!("Bearer {TOKEN}"));
    let asked = authority.exchanges();
    assert_eq!(asked.len(), 1, "one token for all attempts");
    assert!(
        asked[0]
            .request
            .header("authorization")
            .starts_with("Basic ")
    );
}

fn nothing_is_seen(log: &str, auth: &str, authorization: &str) {
    let scene = Scene::new();
    let topic = scene.create_topic("monolith", "billing", "Vehicle", 1);
    let consumer = StubServer::start(|request| echo(500, request));
    let config = RelayConfig::new(&scene)
        .destination(
            "billing",
            &consumer.url(),
            &format!("{auth}\n{DESTINATION}"),
        )
        .section("log", log)
        .section("telemetry", "level = \"trace\"");
    let folder = tempfile::tempdir().unwrap();
    let relay = RelayProcess::start_ready(with_secrets(folder.path()), config);
    let producer = Producer::new();
    let record = Record::new("monolith", "Vehicle", "1");
    producer.send(
        &topic,
        &record
            .sensitive("phone", PHONE)
            .text("registration", "KA-01"),
    );
    producer.flush();

    wait_until("it is exhausted", PATIENCE, || {
        scene
            .database
            .number("select count(*) from parked where state = 'exhausted'")
            == 1
    });
    let sent = &consumer.exchanges()[0].request;
    assert_eq!(
        sent.json()["attributes"]["phone"],
        PHONE,
        "the consumer gets it in full"
    );
    assert_eq!(sent.header("x-api-key"), API_KEY);
    assert_eq!(sent.header("authorization"), authorization);
    assert!(sent.header("webhook-signature").starts_with("v1,"));
    let id = sent.id().to_owned();
    assert_tables_are_clean(&scene, "parked.record");
    assert_answers_are_clean(&relay, &id);

    consumer.answer_with(|request| echo(200, request));
    assert!(relay.command(&["retry", &id]).status.success());
    wait_until("it is delivered", PATIENCE, || {
        scene.database.number("select count(*) from parked") == 0
    });
    assert_eq!(
        scene
            .database
            .number("select count(*) from attempts where outcome = 'delivered'"),
        1
    );
    // Undelivered it had to be kept in full; nothing of that is left.
    assert_tables_are_clean(&scene, "");
    assert_answers_are_clean(&relay, &id);
}

/// Everything that came, in a header and in a body: as it is, as JSON, as HTML and as a part of a URL.
fn echo(status: u16, request: &Request) -> Answer {
    let body = String::from_utf8(request.body.clone()).unwrap();
    let key = request.header("x-api-key");
    let authorization = request.header("authorization");
    // What it knows of its caller: its password, or its token.
    let (_, proof) = authorization.split_once(' ').unwrap();
    let password = if proof == BASIC { PASSWORD } else { proof };
    let html = PHONE.replace('"', "&quot;");
    let url = PHONE
        .replace('+', "%2B")
        .replace('/', "%2F")
        .replace('"', "%22")
        .replace('ü', "%C3%BC");
    Answer::status(status)
        .header("x-you-sent", key)
        .header("x-you-are", &format!("{proof} {password}"))
        .header("content-type", "text/html")
        .body(format!(
            "{body}\n{key} {authorization} {proof} {password} {PHONE} <p>{html}</p> /search?phone={url}",
        ))
}

/// The relay, in an environment that holds the secrets.
fn with_secrets(folder: &Path) -> PathBuf {
    let path = folder.join("relay");
    let script = format!(
        "#!/bin/sh\nexport BEHAVIOUR_API_KEY='{API_KEY}' BEHAVIOUR_PASSWORD='{PASSWORD}' BEHAVIOUR_CLIENT='{CLIENT_SECRET}' BEHAVIOUR_SIGNING='whsec_{SIGNING_KEY}'\nexec '{BINARY}' \"$@\"\n"
    );
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// Every column of every table, but one.
fn assert_tables_are_clean(scene: &Scene, except: &str) {
    let columns = "select table_name, column_name from information_schema.columns \
         where table_schema = 'public' and table_name not like 'attempts\\_p%' order by 1, 2";
    let columns = scene.database.rows(columns);
    assert!(
        columns.len() > 80,
        "the columns of the store, not {}",
        columns.len()
    );
    for column in columns {
        let [Some(table), Some(column)] = &column[..] else {
            panic!("{column:?}")
        };
        if format!("{table}.{column}") == except {
            continue;
        }
        let rows = scene
            .database
            .rows(&format!("select \"{column}\"::text from \"{table}\""));
        for value in rows.into_iter().flatten().flatten() {
            assert_clean(&format!("{table}.{column}"), &value);
        }
    }
}

fn assert_answers_are_clean(relay: &RelayProcess, id: &str) {
    let attempts = format!("/api/v1/deliveries/{id}/attempts");
    let (_, answer) = relay.fetch(&attempts).unwrap();
    assert!(
        answer.contains("KA-01") && answer.contains("***"),
        "bodies are shown, masked: {answer}"
    );
    for path in [
        &attempts,
        &format!("/api/v1/deliveries/{id}"),
        "/api/v1/deliveries",
        "/api/v1/attempts",
        "/api/v1/destinations",
        "/readyz",
        "/metrics",
    ] {
        let (status, answer) = relay.fetch(path).unwrap();
        assert_eq!(status, 200, "{path}: {answer}");
        assert_clean(path, &answer);
    }
    let folder = relay.folder().join("relay.toml");
    let config = folder.to_str().unwrap();
    for arguments in [
        &["failures"][..],
        &["failures", "--json"],
        &["failures", id],
        &["failures", id, "--json"],
        &["tail"],
        &["tail", "--json"],
        &["destinations", "--json"],
        &["config", "--config", config],
    ] {
        let output = relay.command(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        let all = [output.stdout, output.stderr].concat();
        assert_clean(&arguments.join(" "), &String::from_utf8(all).unwrap());
    }
    assert_clean("the relay's output", &relay.output());
}

fn assert_clean(place: &str, text: &str) {
    for secret in [
        PHONE_PART,
        API_KEY,
        PASSWORD,
        BASIC,
        TOKEN,
        CLIENT_SECRET,
        SIGNING_KEY,
    ] {
        for form in [secret, &hex(secret)] {
            let around = text.find(form).map(|at| {
                let before: String = text[..at].chars().rev().take(200).collect();
                before.chars().rev().collect::<String>()
            });
            assert_eq!(around, None, "{place} shows {secret} after this");
        }
    }
}

/// Bytes as psql shows them.
fn hex(text: &str) -> String {
    text.bytes().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}
