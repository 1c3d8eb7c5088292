//! The configuration that holds, and having it read again.

use relay_test_support::wait::wait_until;
use replicates_relay::config::{Config, ConfigError, Environment};
use replicates_relay::reload::Refusal;
use std::time::Duration;

use crate::relay::{Answer, OPEN, Relay, TOKENS};

const CONFIG: &str = "/api/v1/config";
const RELOAD: &str = "/api/v1/config/reload";
const PATIENCE: Duration = Duration::from_secs(10);

fn etag(answer: &Answer) -> &str {
    let line = answer
        .head
        .lines()
        .find_map(|line| line.strip_prefix("etag: "));
    line.unwrap_or_else(|| panic!("no etag: {answer:?}"))
}

/// Asks for a reload, which ends as it is told.
fn reload(relay: &mut Relay, headers: &[(&str, &str)], ends: Result<String, Refusal>) -> Answer {
    let address = relay.address().to_string();
    let answered = std::thread::scope(|scope| {
        let asking = scope.spawn(|| Relay::ask_at(&address, "POST", RELOAD, headers, ""));
        let mut ends = Some(ends);
        wait_until("the reload is asked for", PATIENCE, || {
            if let Some(request) = relay.requests.waiting() {
                request.send(ends.take().unwrap()).unwrap();
            }
            asking.is_finished()
        });
        asking.join()
    });
    answered.unwrap()
}

#[test]
fn what_holds_is_shown_without_secrets_and_its_revision_tells_whether_it_is_known() {
    let relay = Relay::start(OPEN);
    let answer = relay.read(CONFIG);
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.json()["destinations"]["billing"]["retry"]["max_retries"],
        7
    );
    let revision = etag(&answer).to_owned();
    let again = relay.ask("GET", CONFIG, &[("if-none-match", &revision)], "");
    assert_eq!((again.status, again.body.as_str()), (304, ""));

    relay.configure(
        TOKENS,
        "[destinations.search]\nurl = \"http://127.0.0.1:1/\"\n",
    );
    let token = [("authorization", "Bearer viewer-token")];
    let answer = relay.ask("GET", CONFIG, &token, "");
    assert_ne!(etag(&answer), revision);
    assert_eq!(answer.json()["admin"]["tokens"][0]["token"], "***");
    assert!(answer.json()["destinations"]["search"].is_object());
}

#[test]
fn tokens_that_come_and_go_with_the_configuration_are_known_and_refused_at_once() {
    let relay = Relay::start(OPEN);
    let viewer = [("authorization", "Bearer viewer-token")];
    assert_eq!(relay.read(CONFIG).status, 200);
    relay.configure(TOKENS, "");
    assert_eq!(relay.read(CONFIG).status, 401);
    assert_eq!(relay.ask("GET", CONFIG, &viewer, "").status, 200);
    let one = TOKENS.replace(
        "{ name = \"grafana\", role = \"viewer\", token = \"env:VIEWER\" },",
        "",
    );
    relay.configure(&one, "");
    assert_eq!(relay.ask("GET", CONFIG, &viewer, "").status, 401);
}

#[test]
fn destinations_that_come_and_go_are_listed_as_they_are() {
    let relay = Relay::start(OPEN);
    relay.configure(
        OPEN,
        "[destinations.search]\nurl = \"http://127.0.0.1:1/\"\nenabled = false\n",
    );
    let listed = relay.read("/api/v1/destinations").json();
    let states: Vec<_> = listed["destinations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| format!("{} {}", row["name"], row["state"]).replace('"', ""))
        .collect();
    assert_eq!(
        states,
        ["billing active", "fleet active", "search disabled"]
    );
}

#[test]
fn a_reload_answers_with_the_new_revision_and_is_in_the_audit_list() {
    let mut relay = Relay::start(TOKENS);
    let token = [("authorization", "Bearer operator-token")];
    let answer = reload(&mut relay, &token, Ok("5f0c9a1e7b22d410".into()));
    assert_eq!(
        (answer.status, answer.json()["revision"].as_str()),
        (200, Some("5f0c9a1e7b22d410"))
    );
    assert_eq!(
        audit(&relay),
        [(
            "ops".to_owned(),
            "reload".to_owned(),
            "revision 5f0c9a1e7b22d410".to_owned()
        )]
    );
    for (token, status) in [("viewer-token", 403), ("", 401)] {
        let bearer = format!("Bearer {token}");
        let answer = relay.ask("POST", RELOAD, &[("authorization", &bearer)], "");
        assert_eq!(answer.status, status);
    }
}

#[test]
fn a_refused_reload_tells_every_problem() {
    let mut relay = Relay::start(OPEN);
    let problems = Config::parse(
        "relay.toml",
        "[log]\nflush_rows = 0\nrows = 1\n",
        &Environment::default(),
    );
    let wrong = ConfigError::Wrong(problems.unwrap_err());
    let answer = reload(&mut relay, &[], Err(wrong.into()));
    assert_eq!(answer.status, 422);
    let error = &answer.json()["error"];
    assert_eq!(error["code"], "unprocessable");
    let details = error["details"].as_array().unwrap();
    let told = |text: &str| {
        details
            .iter()
            .any(|detail| detail.as_str().unwrap().contains(text))
    };
    assert!(
        told("relay.toml:2: log.flush_rows must be") && told("relay.toml:3: log.rows is unknown"),
        "{details:?}"
    );
    assert_eq!(audit(&relay).len(), 1);
}

#[test]
fn a_relay_that_ends_says_so_and_a_body_is_refused() {
    let mut relay = Relay::start(OPEN);
    let answer = relay.ask("POST", RELOAD, &[], "{\"relay\":{}}");
    assert_eq!(answer.status, 400);
    relay.requests.refuse();
    let answer = relay.ask("POST", RELOAD, &[], "");
    assert_eq!(
        (answer.status, answer.message().as_str()),
        (503, "the relay is ending")
    );
}

fn audit(relay: &Relay) -> Vec<(String, String, String)> {
    let url = format!("sqlite://{}", relay.sqlite_path().display());
    relay.runtime.block_on(async {
        let mut connection = <sqlx::SqliteConnection as sqlx::Connection>::connect(&url)
            .await
            .unwrap();
        sqlx::query_as("select token_name, action, detail from audit order by id")
            .fetch_all(&mut connection)
            .await
            .unwrap()
    })
}
