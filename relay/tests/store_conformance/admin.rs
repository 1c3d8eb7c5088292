//! What people and replicas leave in the store.

use std::time::Duration;

use relay_core::rows::{Batch, Outcome};
use replicates_relay::store::{
    Claim, MappingRow, Pause, PauseRequest, ReplicaRow, ReplicaState, RetryAnswer, RetryRequest,
    Wish,
};

use crate::databases::Database;
use crate::on_both_stores;
use crate::rows::*;

on_both_stores!(
    a_retry_of_what_has_ended_or_never_was_says_so,
    a_key_is_claimed_by_one_and_answers_all_until_it_expires,
    of_many_who_claim_a_key_at_once_one_gets_it,
    replicas_and_mappings_are_what_was_said_last,
    a_destination_is_met_once,
    a_word_to_go_on_counts_where_nothing_was_paused_and_the_last_one_stays,
    a_pause_holds_until_somebody_lets_the_destination_go_on_and_is_in_the_audit_list,
    upkeep_leaves_what_has_not_expired_and_what_is_undelivered,
);

async fn a_retry_of_what_has_ended_or_never_was_says_so(database: Database) {
    let store = database.store();
    let batch = Batch {
        attempts: vec![attempt("logged", 1), failed("trying", 1)],
        ledger: vec![entry("held", 5)],
        ..Batch::default()
    };
    store.keep(&batch).await.unwrap();
    for (key, version, answer) in [
        ("logged", 1, RetryAnswer::AlreadyFinal(Outcome::Delivered)),
        ("trying", 1, RetryAnswer::InFlight),
        ("held", 5, RetryAnswer::AlreadyFinal(Outcome::Delivered)),
        ("held", 4, RetryAnswer::AlreadyFinal(Outcome::Superseded)),
        ("held", 6, RetryAnswer::NotFound),
        ("never", 1, RetryAnswer::NotFound),
    ] {
        let request = RetryRequest {
            id: id(&stream(), key, version),
            token_name: "ops".into(),
            at: now(),
        };
        assert_eq!(
            store.retry(&request).await.unwrap(),
            answer,
            "{key} {version}"
        );
    }
    assert_eq!(database.number("select count(*) from audit").await, 0);
}

async fn a_key_is_claimed_by_one_and_answers_all_until_it_expires(database: Database) {
    let store = database.store();
    let (soon, later) = (now() + Duration::from_secs(60), now() + HOUR);
    let hash = [1, 2, 3];
    let theirs = |response: Option<&str>| Claim::Theirs {
        body_hash: hash.to_vec(),
        response: response.map(str::to_owned),
    };
    let claim = async |key: &str, at| store.claim_key(key, &hash, at, soon).await.unwrap();
    assert_eq!(claim("k", now()).await, Claim::Ours);
    assert_eq!(claim("k", now()).await, theirs(None));
    assert_eq!(claim("other", now()).await, Claim::Ours);
    let keep = async |key: &str, claimed_until, answer: &str| {
        let keeping = store.keep_answer(key, claimed_until, answer, later);
        keeping.await.unwrap();
    };
    let give_up = async |key: &str, until| store.give_up_key(key, until).await.unwrap();
    keep("k", soon, "first").await;
    keep("k", soon, "second").await;
    assert_eq!(claim("k", soon).await, theirs(Some("first")));
    assert_eq!(claim("k", later).await, Claim::Ours);

    // Whoever had it came to nothing.
    give_up("other", soon).await;
    assert_eq!(claim("other", now()).await, Claim::Ours);
    // Or was late: it is the claim of the next, who is answering still.
    let again = soon + Duration::from_secs(60);
    let next = store.claim_key("other", &hash, soon, again).await.unwrap();
    assert_eq!(next, Claim::Ours);
    keep("other", soon, "late").await;
    give_up("other", soon).await;
    assert_eq!(claim("other", soon).await, theirs(None));
    keep("other", again, "kept").await;
    give_up("other", again).await;
    assert_eq!(claim("other", again).await, theirs(Some("kept")));

    let past = now() - Duration::from_secs(1);
    let gone = store.claim_key("gone", &hash, now(), past).await.unwrap();
    assert_eq!(gone, Claim::Ours);
    store.maintain().await.unwrap();
    let keys = "select count(*) from idempotency_keys";
    assert_eq!(database.number(keys).await, 2);
}

async fn of_many_who_claim_a_key_at_once_one_gets_it(database: Database) {
    let store = database.store();
    let (now, soon) = (now(), now() + Duration::from_secs(60));
    let claims: Vec<_> = (0..8)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.claim_key("k", &[1], now, soon).await.unwrap() })
        })
        .collect();
    let mut ours = 0;
    for claim in claims {
        ours += usize::from(claim.await.unwrap() == Claim::Ours);
    }
    assert_eq!(ours, 1);
}

async fn replicas_and_mappings_are_what_was_said_last(database: Database) {
    let store = database.store();
    let replica = |replica: &str, state, in_flight| ReplicaRow {
        replica: replica.into(),
        destination: "billing".into(),
        state,
        held_reason: Some("connect refused".into()),
        lag_seconds: 1.5,
        in_flight,
    };
    let mapping = |version_max, last_seen_at| MappingRow {
        destination: "billing".into(),
        source: "monolith".into(),
        model: "Vehicle".into(),
        fingerprint: u64::MAX,
        version_max,
        last_seen_at,
    };
    let (seen, before) = (now(), now() - HOUR);
    let said = [
        (
            replica("relay-1", ReplicaState::Active, 1),
            mapping(9, seen),
        ),
        (
            replica("relay-2", ReplicaState::Open, 2),
            mapping(3, before),
        ),
        (
            replica("relay-1", ReplicaState::HalfOpen, 3),
            mapping(9, before),
        ),
    ];
    for (row, mapping) in said {
        store.record_replica(&[row], &[mapping]).await.unwrap();
    }
    let within = store.replicas(Duration::from_secs(60)).await.unwrap();
    assert_eq!(
        within,
        [
            replica("relay-1", ReplicaState::HalfOpen, 3),
            replica("relay-2", ReplicaState::Open, 2)
        ]
    );
    assert!(store.replicas(Duration::ZERO).await.unwrap().is_empty());
    assert_eq!(store.mappings("billing").await.unwrap(), [mapping(9, seen)]);
    assert!(store.mappings("search").await.unwrap().is_empty());
}

async fn a_destination_is_met_once(database: Database) {
    let store = database.store();
    for destination in ["search", "billing", "billing"] {
        store.record_destination(destination, now()).await.unwrap();
    }
    assert_eq!(store.destinations().await.unwrap(), ["billing", "search"]);
}

async fn a_pause_holds_until_somebody_lets_the_destination_go_on_and_is_in_the_audit_list(
    database: Database,
) {
    let (store, at) = (database.store(), now());
    store.record_destination("fleet", now()).await.unwrap();
    let ask = |destination: &str, wish| PauseRequest {
        destination: destination.into(),
        wish,
        token_name: "ops".into(),
        at,
    };
    let because = |reason: &str| Wish::Pause {
        reason: reason.into(),
    };
    let pause = |reason: &str| {
        Some(Pause {
            reason: reason.into(),
            by: "ops".into(),
            at,
        })
    };
    assert_eq!(store.orders("billing").await.unwrap().pause, None);
    for reason in ["they migrate", "still"] {
        let request = ask("billing", because(reason));
        store.set_pause(&request).await.unwrap();
        assert_eq!(store.orders("billing").await.unwrap().pause, pause(reason));
    }
    assert_eq!(store.orders("fleet").await.unwrap().pause, None);
    store
        .set_pause(&ask("fleet", because("too")))
        .await
        .unwrap();
    let go_on = Wish::Resume {
        reason: Some("done".into()),
    };
    store.set_pause(&ask("billing", go_on)).await.unwrap();
    assert_eq!(store.orders("billing").await.unwrap().pause, None);
    assert_eq!(store.orders("fleet").await.unwrap().pause, pause("too"));
    assert_eq!(store.destinations().await.unwrap(), ["billing", "fleet"]);
    let audit = "select count(*) from audit where token_name = 'ops' and detail is not null";
    assert_eq!(database.number(audit).await, 4);
}

async fn a_word_to_go_on_counts_where_nothing_was_paused_and_the_last_one_stays(
    database: Database,
) {
    let (store, begin) = (database.store(), now());
    let at = |minutes: u32| begin + Duration::from_secs(60) * minutes;
    let say = |wish, at| PauseRequest {
        destination: "billing".into(),
        wish,
        token_name: "ops".into(),
        at,
    };
    let pause = || Wish::Pause {
        reason: "they migrate".into(),
    };
    let go_on = || Wish::Resume { reason: None };
    for (wish, minutes, expected) in [
        (pause(), 1, None),
        (go_on(), 2, None),
        (go_on(), 5, Some(at(5))),
        (go_on(), 4, Some(at(5))),
        (pause(), 6, Some(at(5))),
        (go_on(), 7, Some(at(5))),
        (go_on(), 8, Some(at(8))),
    ] {
        let request = say(wish, at(minutes));
        store.set_pause(&request).await.unwrap();
        let orders = store.orders("billing").await.unwrap();
        assert_eq!(orders.resumed_at, expected, "{minutes}");
    }
    let orders = store.orders("fleet").await.unwrap();
    assert_eq!((orders.pause, orders.resumed_at), (None, None));
    let request = PauseRequest {
        destination: "fleet".into(),
        ..say(go_on(), at(9))
    };
    store.set_pause(&request).await.unwrap();
    let orders = store.orders("fleet").await.unwrap();
    assert_eq!(orders.resumed_at, Some(at(9)), "of one never met before");
}

async fn upkeep_leaves_what_has_not_expired_and_what_is_undelivered(database: Database) {
    let store = database.store();
    let mut expired = attempt("1", 1);
    expired.retention = Duration::ZERO;
    let batch = Batch {
        attempts: vec![expired, attempt("2", 1)],
        parked: vec![keep(parked("3", 1))],
        ..Batch::default()
    };
    store.keep(&batch).await.unwrap();
    let upkeep = store.maintain().await.unwrap();
    assert!(!upkeep.partitions.next_is_missing);
    // PostgreSQL drops the row with its partition, SQLite by itself.
    let left = if database.is_postgres() { 2 } else { 1 };
    assert_eq!(database.number("select count(*) from attempts").await, left);
    assert_eq!(database.number("select count(*) from parked").await, 1);
}
