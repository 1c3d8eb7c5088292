//! Undelivered records, single deliveries, their attempts, and retries.

use std::time::Duration;

use relay_test_support::database::Database;
use relay_test_support::scene::unique_name;
use relay_test_support::wait::wait_until;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection, SqliteConnection};

use crate::relay::{OPEN, Relay, TOKENS, Tables};
use crate::rows::{batch, delivered, failed, id, parked, rejected};

const PATIENCE: Duration = Duration::from_secs(30);

/// Long enough for a request to get to where it would be held up.
const MOMENT: Duration = Duration::from_millis(500);

fn versions(list: &Value) -> Vec<u64> {
    let rows = list.as_array().unwrap();
    rows.iter()
        .map(|row| row["version"].as_u64().unwrap())
        .collect()
}

#[test]
fn undelivered_records_are_listed_newest_first_and_page_by_page() {
    let relay = Relay::start(OPEN);
    let rows = vec![parked("1", 1), rejected("2", 2), rejected("3", 3)];
    relay.keep(&batch(vec![], rows));
    let mut path = "/api/v1/deliveries?limit=2".to_owned();
    let first = relay.read(&path).json();
    assert_eq!(versions(&first["deliveries"]), [3, 2]);
    let cursor = first["next_cursor"].as_str().unwrap();
    path.extend(["&cursor=", cursor]);
    let second = relay.read(&path).json();
    assert_eq!(versions(&second["deliveries"]), [1]);
    assert_eq!(second["next_cursor"], Value::Null);

    let row = &second["deliveries"][0];
    for (name, value) in [
        ("id", json!(id("1", 1))),
        ("destination", json!("billing")),
        ("source", json!("monolith")),
        ("model", json!("Vehicle")),
        ("key", json!("1")),
        ("operation", json!("update")),
        ("state", json!("parked")),
        ("reason", json!("retry")),
        ("attempts", json!(3)),
        ("max_retries", json!(7)),
        ("last_status", json!(500)),
        ("error_class", json!("http_5xx")),
        ("error", json!("answered 500")),
        (
            "kafka",
            json!({ "topic": "replicates_to.monolith.billing.Vehicle", "partition": 3, "offset": 1 }),
        ),
    ] {
        assert_eq!(row[name], value, "{name}");
    }
    assert!(
        row["next_attempt_at"].as_str().unwrap().ends_with('Z'),
        "{row}"
    );
}

#[test]
fn filters_narrow_the_list() {
    let relay = Relay::start(OPEN);
    let rows = vec![parked("1", 1), rejected("2", 2)];
    relay.keep(&batch(vec![], rows));
    for (query, expected) in [
        ("state=parked", vec![1]),
        ("status=422", vec![2]),
        ("error_class=http_4xx&key=2", vec![2]),
        ("destination=fleet", vec![]),
        ("model=Vehicle", vec![2, 1]),
        ("since=2100-01-01T00:00:00Z", vec![]),
        ("until=2100-01-01T00:00:00Z", vec![2, 1]),
    ] {
        let found = relay.read(&format!("/api/v1/deliveries?{query}")).json();
        assert_eq!(versions(&found["deliveries"]), expected, "{query}");
    }
}

#[test]
fn a_delivery_is_shown_with_its_attempts_as_long_as_the_log_knows_it() {
    let relay = Relay::start(OPEN);
    let log = vec![delivered("9", 9, Duration::ZERO)];
    relay.keep(&batch(log, vec![]));
    let path = format!("/api/v1/deliveries/{}", id("9", 9));
    let delivery = relay.read(&path).json();
    assert_eq!(delivery["state"], "delivered");
    let attempts = relay.read(&format!("{path}/attempts")).json();
    let attempt = &attempts["attempts"][0];
    assert_eq!(attempt["outcome"], "delivered");
    assert_eq!(attempt["replica"], "relay-1");
    assert_eq!(attempt["request"]["method"], "POST");
    assert_eq!(attempt["request"]["headers"]["x-api-key"], "***");
    assert_eq!(attempt["request"]["body"], "{\"id\":1}");
    assert_eq!(attempt["response"]["body"], "/wA=");
    assert_eq!(attempt["response"]["body_encoding"], "base64");
    assert_eq!(attempt["timings"]["total_ms"], 2.25);

    let unknown = format!("/api/v1/deliveries/{}", id("nobody", 1));
    for path in [unknown.clone(), format!("{unknown}/attempts")] {
        let answer = relay.read(&path);
        assert_eq!(answer.status, 404, "{answer:?}");
        assert_eq!(answer.json()["error"]["code"], "not_found");
    }
}

#[test]
fn the_log_is_read_an_hour_back_unless_more_is_asked_for() {
    let relay = Relay::start(OPEN);
    let log = vec![
        delivered("1", 1, Duration::from_secs(2 * 3_600)),
        failed("2", 2),
        delivered("3", 3, Duration::ZERO),
    ];
    relay.keep(&batch(log, vec![]));
    let read = |query: &str| relay.read(&format!("/api/v1/attempts{query}")).json();
    let mut recent = versions(&read("")["attempts"]);
    recent.sort_unstable();
    assert_eq!(recent, [2, 3]);
    assert_eq!(versions(&read("?outcome=retryable")["attempts"]), [2]);
    let all = read("?since=2020-01-01T00:00:00Z");
    assert_eq!(all["attempts"].as_array().unwrap().len(), 3);
    let page = read("?since=2020-01-01T00:00:00Z&limit=2");
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = read(&format!(
        "?since=2020-01-01T00:00:00Z&limit=2&cursor={cursor}"
    ));
    assert_eq!(versions(&rest["attempts"]), [1]);
}

/// How often somebody has retried, and who was the last.
fn audit(relay: &Relay) -> (i64, Option<String>) {
    let url = format!("sqlite://{}", relay.sqlite_path().display());
    relay.runtime.block_on(async {
        let mut connection = SqliteConnection::connect(&url).await.unwrap();
        sqlx::query_as("select count(*), max(token_name) from audit")
            .fetch_one(&mut connection)
            .await
            .unwrap()
    })
}

#[test]
fn a_retry_is_accepted_and_audited() {
    let relay = Relay::start(TOKENS);
    relay.keep(&batch(vec![], vec![rejected("42", 7)]));
    let path = format!("/api/v1/deliveries/{}", id("42", 7));
    let token = ("authorization", "Bearer operator-token");
    let answer = relay.ask("POST", &format!("{path}/retry"), &[token], "");
    assert_eq!(answer.status, 202, "{answer:?}");
    let delivery = relay.ask("GET", &path, &[token], "").json();
    assert_eq!(delivery["state"], "parked");
    assert_eq!(delivery["reason"], "manual");
    assert_eq!(audit(&relay), (1, Some("ops".to_owned())));
}

#[test]
fn the_same_idempotency_key_does_the_same_once() {
    let relay = Relay::start(OPEN);
    let rows = vec![rejected("1", 1), rejected("2", 2)];
    relay.keep(&batch(vec![], rows));
    let key = ("idempotency-key", "a1");
    let retry = |id: &str, body: &str| {
        relay.ask(
            "POST",
            &format!("/api/v1/deliveries/{id}/retry"),
            &[key],
            body,
        )
    };
    let first = retry(&id("1", 1), "");
    let again = retry(&id("1", 1), "");
    assert_eq!((first.status, again.status), (202, 202));
    assert_eq!(first.body, again.body);
    assert_eq!(audit(&relay).0, 1);
    let other = retry(&id("2", 2), "");
    assert_eq!(other.status, 422, "{other:?}");
    assert_eq!(other.json()["error"]["code"], "unprocessable");
    assert_eq!(audit(&relay).0, 1);
}

const HELD_UP: &str = "select count(*) from pg_stat_activity
  where datname = current_database() and wait_event_type = 'Lock'";

/// A relay with a database, its address, and where a retry of its one failure is asked for.
fn with_one_rejected() -> (Database, Relay, String, String) {
    let database = Database::create(&unique_name());
    let relay = Relay::start_on(Some(database.url()), Tables::Migrated, OPEN);
    relay.keep(&batch(vec![], vec![rejected("42", 7)]));
    let address = relay.address().to_string();
    let path = format!("/api/v1/deliveries/{}/retry", id("42", 7));
    (database, relay, address, path)
}

/// Holds up whoever asks for a retry, until the connection is closed.
fn hold_audits(relay: &Relay, database: &Database) -> PgConnection {
    relay.runtime.block_on(async {
        let mut holder = PgConnection::connect(database.url()).await.unwrap();
        let lock = "begin; lock table audit in exclusive mode";
        sqlx::raw_sql(lock).execute(&mut holder).await.unwrap();
        holder
    })
}

#[test]
fn of_two_requests_at_once_with_one_key_one_is_done_and_both_are_answered() {
    let (database, relay, address, path) = with_one_rejected();
    let ask = || Relay::ask_at(&address, "POST", &path, &[("idempotency-key", "a1")], "");
    let holder = hold_audits(&relay, &database);
    std::thread::scope(|scope| {
        let asking = [scope.spawn(ask), scope.spawn(ask)];
        wait_until("one of them is held up", PATIENCE, || {
            database.number(HELD_UP) > 0
        });
        // The other would be as well, had it not seen that.
        std::thread::sleep(MOMENT);
        assert_eq!(database.number(HELD_UP), 1);
        relay.runtime.block_on(holder.close()).unwrap();
        let [one, other] = asking.map(|asked| asked.join().unwrap());
        assert_eq!((one.status, other.status), (202, 202), "{one:?} {other:?}");
        assert_eq!(one.body, other.body);
    });
    assert_eq!(database.number("select count(*) from audit"), 1);
}

#[test]
fn a_write_whose_client_goes_away_is_done_and_its_answer_kept_for_when_it_asks_again() {
    let (database, relay, address, path) = with_one_rejected();
    let key = ("idempotency-key", "a1");
    let holder = hold_audits(&relay, &database);
    let asking = Relay::send_to(&address, "POST", &path, &[key], "");
    wait_until("it is held up", PATIENCE, || database.number(HELD_UP) > 0);
    drop(asking);
    // For the relay to notice.
    std::thread::sleep(MOMENT);
    relay.runtime.block_on(holder.close()).unwrap();
    let again = relay.ask("POST", &path, &[key], "");
    assert_eq!(again.status, 202, "{again:?}");
    assert_eq!(database.number("select count(*) from audit"), 1);
}

#[test]
fn a_write_that_came_to_nothing_may_be_tried_again_with_its_key() {
    let relay = Relay::start(OPEN);
    let path = format!("/api/v1/deliveries/{}/retry", id("42", 7));
    let retry = || relay.ask("POST", &path, &[("idempotency-key", "a1")], "");
    assert_eq!(retry().status, 404);
    relay.keep(&batch(vec![], vec![rejected("42", 7)]));
    assert_eq!(retry().status, 202);
}

#[test]
fn what_cannot_be_retried_is_refused() {
    let relay = Relay::start(OPEN);
    let log = vec![delivered("9", 9, Duration::ZERO)];
    relay.keep(&batch(log, vec![rejected("1", 1)]));
    let retry = |id: &str, body: &str| {
        relay.ask("POST", &format!("/api/v1/deliveries/{id}/retry"), &[], body)
    };
    let done = retry(&id("9", 9), "");
    assert_eq!(
        (done.status, done.json()["error"]["code"].as_str()),
        (409, Some("conflict"))
    );
    assert!(
        done.message()
            .ends_with("is delivered: nothing is left to send"),
        "{done:?}"
    );
    assert_eq!(retry(&id("nobody", 1), "").status, 404);
    let with_wishes = retry(&id("1", 1), "{\"rate\":100}");
    assert_eq!(with_wishes.status, 400, "{with_wishes:?}");
    assert_eq!(audit(&relay).0, 0);
}

#[test]
fn the_api_reads_and_writes_postgres_as_well() {
    let database = Database::create(&unique_name());
    let relay = Relay::start_on(Some(database.url()), Tables::Migrated, OPEN);
    let log = vec![failed("42", 7), delivered("9", 9, Duration::ZERO)];
    relay.keep(&batch(log, vec![rejected("42", 7)]));
    let path = format!("/api/v1/deliveries/{}", id("42", 7));
    let found = relay.read("/api/v1/deliveries?error_class=http_4xx").json();
    assert_eq!(versions(&found["deliveries"]), [7]);
    assert_eq!(
        relay.read("/api/v1/attempts?status=500").json()["attempts"][0]["key"],
        "42"
    );
    let key = ("idempotency-key", "a1");
    for _ in 0..2 {
        let answer = relay.ask("POST", &format!("{path}/retry"), &[key], "{}");
        assert_eq!(answer.status, 202, "{answer:?}");
    }
    assert_eq!(relay.read(&path).json()["reason"], "manual");
    assert_eq!(database.number("select count(*) from audit"), 1);
}
