//! The commands that ask a running relay, as processes of the real binary.

use std::net::TcpListener;
use std::time::Duration;

use serde_json::Value;

use crate::destinations::open_breaker;
use crate::relay::{OPEN, Relay, TOKENS, run, said};
use crate::rows::{batch, delivered, failed, id, parked, rejected};

fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn destinations_are_a_table_or_an_object_per_line() {
    let relay = Relay::start(OPEN);
    relay.keep(&batch(vec![], vec![parked("1", 1), rejected("2", 2)]));
    open_breaker(&relay);
    let (code, table, _) = said(&relay.command(&["destinations"]));
    assert_eq!(code, 0);
    assert_eq!(
        table.lines().collect::<Vec<_>>(),
        [
            "NAME     STATE   LAG    IN FLIGHT  PARKED  EXHAUSTED  REJECTED  QUARANTINED",
            "billing  active  0.0 s  0          1       0          1         0",
            "fleet    open    184 s  0          0       0          0         0    connect refused, next probe in 12 s",
        ]
    );
    let (_, json, _) = said(&relay.command(&["--json", "destinations", "fleet"]));
    assert_eq!(lines(&json)[0]["state"], "open");
    let (code, stdout, stderr) = said(&relay.command(&["destinations", "flet"]));
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert_eq!(
        stderr,
        "there is no destination \"flet\" (did you mean fleet?)\n"
    );
}

#[test]
fn a_destination_is_paused_with_a_reason_and_resumed() {
    let relay = Relay::start(OPEN);
    let words = "billing is paused: nothing is sent, and its records wait in Kafka\n";
    let pause = ["destinations", "billing", "pause"];
    let because = [&pause[..], &["--reason", "they migrate"]].concat();
    assert_eq!(
        said(&relay.command(&because)),
        (0, words.into(), String::new())
    );
    let (code, _, stderr) = said(&relay.command(&pause));
    assert_eq!(code, 2);
    assert!(stderr.contains("--reason"), "{stderr}");
    let resume = ["destinations", "billing", "resume"];
    assert_eq!(
        said(&relay.command(&resume)),
        (0, "billing goes on\n".into(), String::new())
    );
    let (code, _, stderr) = said(&relay.command(&["destinations", "biling", "resume"]));
    assert_eq!(code, 1);
    assert_eq!(
        stderr,
        "there is no destination \"biling\" (did you mean billing?)\n"
    );
}

#[test]
fn failures_are_found_shown_and_retried() {
    let relay = Relay::start(OPEN);
    let log = vec![failed("42", 7)];
    relay.keep(&batch(log, vec![rejected("42", 7), parked("1", 1)]));
    let id = id("42", 7);
    let (code, json, _) = said(&relay.command(&["failures", "--state", "rejected", "--json"]));
    assert_eq!(code, 0);
    let found = lines(&json);
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0]["id"].as_str(), found[0]["last_status"].as_u64()),
        (Some(&*id), Some(422))
    );

    let (_, table, _) = said(&relay.command(&["failures", "--since", "1h", "--limit", "1"]));
    assert_eq!(table.lines().count(), 2, "{table}");
    assert!(table.starts_with("ID "), "{table}");

    let (_, shown, _) = said(&relay.command(&["failures", &id]));
    assert!(shown.contains("state           rejected"), "{shown}");
    assert!(shown.contains("answered 500"), "{shown}");
    let (_, json, _) = said(&relay.command(&["failures", &id, "--json"]));
    let object = &lines(&json)[0];
    assert_eq!(object["delivery"]["id"], id);
    assert_eq!(object["attempts"][0]["status"], 500);

    let (code, stdout, _) = said(&relay.command(&["retry", &id]));
    assert_eq!((code, stdout), (0, format!("{id} will be sent again\n")));
    let (_, json, _) = said(&relay.command(&["failures", &id, "--json"]));
    assert_eq!(lines(&json)[0]["delivery"]["reason"], "manual");
}

#[test]
fn one_id_that_cannot_be_retried_does_not_stop_the_others() {
    let relay = Relay::start(OPEN);
    relay.keep(&batch(vec![], vec![rejected("42", 7)]));
    let (unknown, known) = (id("nobody", 1), id("42", 7));
    let (code, stdout, stderr) = said(&relay.command(&["retry", "dlv_x", &unknown, &known]));
    assert_eq!(code, 1);
    assert_eq!(stdout, format!("{known} will be sent again\n"));
    assert_eq!(stderr.lines().count(), 2, "{stderr}");
}

#[test]
fn tail_ends_with_the_newest_attempt() {
    let relay = Relay::start(OPEN);
    let ages = (1..=12).map(|n| delivered("1", n, Duration::from_secs(100 - n)));
    relay.keep(&batch(ages.collect(), vec![]));
    let (code, json, _) = said(&relay.command(&["tail", "--json"]));
    assert_eq!(code, 0);
    let versions: Vec<_> = lines(&json)
        .iter()
        .map(|row| row["version"].as_u64().unwrap())
        .collect();
    assert_eq!(versions, (3..=12).collect::<Vec<_>>());
    let (_, table, _) = said(&relay.command(&["tail", "--outcome", "rejected"]));
    assert_eq!(table.lines().count(), 1, "{table}");
}

#[test]
fn a_filter_that_the_relay_refuses_is_wrong_usage() {
    let relay = Relay::start(OPEN);
    let (code, stdout, stderr) = said(&relay.command(&["failures", "--state", "park"]));
    assert_eq!((code, stdout.as_str()), (2, ""));
    assert!(stderr.contains("(did you mean parked?)"), "{stderr}");
}

#[test]
fn a_relay_that_is_away_or_refuses_the_token_is_exit_code_3() {
    let relay = Relay::start(TOKENS);
    for arguments in [
        &["failures"][..],
        &["failures", "--token", "wrong"],
        &[
            "--token",
            "viewer-token",
            "retry",
            "dlv_00000000000000000000000000000000_1",
        ],
    ] {
        let (code, stdout, stderr) = said(&relay.command(arguments));
        if arguments[0] == "--token" {
            // Flags of a command come after it.
            assert_eq!(code, 2, "{stderr}");
            continue;
        }
        assert_eq!((code, stdout.as_str()), (3, ""), "{stderr}");
        assert!(!stderr.contains("wrong"), "{stderr}");
    }
    let viewer = ["retry", "--token", "viewer-token", &id("42", 7)];
    let (code, _, stderr) = said(&relay.command(&viewer));
    assert_eq!(code, 3);
    assert!(stderr.contains("may only read"), "{stderr}");
    let (code, _, _) = said(&relay.command(&["failures", "--token", "viewer-token"]));
    assert_eq!(code, 0);

    let nobody = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let (code, _, stderr) = said(&run(&nobody.to_string(), &["failures"]));
    assert_eq!(code, 3);
    assert_eq!(
        stderr,
        format!("the relay at http://{nobody} cannot be reached: {nobody}: connection refused\n")
    );
}
