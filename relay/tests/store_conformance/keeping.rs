//! What a batch leaves behind.

use std::time::Duration;

use relay_core::names::KeyHash;
use relay_core::rows::{AttemptRow, Batch, ExchangeRow, Held, LedgerEntry, Outcome, Watermark};
use replicates_relay::store::AttemptFilter;

use crate::databases::Database;
use crate::on_both_stores;
use crate::rows::*;

on_both_stores!(
    an_attempt_is_read_back_as_it_was_logged,
    an_answer_with_nul_bytes_and_invalid_utf8_does_not_stop_the_log,
    a_row_without_a_request_or_a_readable_record_is_logged,
    expired_rows_are_hidden_at_once,
    the_ledger_holds_the_highest_acknowledged_version,
    an_acknowledgement_below_the_stored_version_makes_the_key_suspect,
    a_newer_acknowledgement_takes_the_doubt_away,
    watermarks_are_only_raised,
    a_repeated_batch_adds_log_rows_and_changes_nothing_else,
    two_threads_with_handles_of_their_own_keep_batches_at_once,
    an_empty_batch_is_nothing,
);

fn logging(attempts: Vec<AttemptRow>) -> Batch {
    Batch {
        attempts,
        ..Batch::default()
    }
}

fn acknowledging(ledger: Vec<LedgerEntry>) -> Batch {
    Batch {
        ledger,
        ..Batch::default()
    }
}

fn everything() -> AttemptFilter {
    AttemptFilter {
        destination: None,
        model: None,
        key: None,
        outcome: None,
        status: None,
        error_class: None,
        since: now() - HOUR,
        until: None,
    }
}

async fn an_attempt_is_read_back_as_it_was_logged(database: Database) {
    let store = database.store();
    let body = b"{\"attributes\":{\"plate\":\"KA-01\"}}".repeat(50);
    let row = AttemptRow {
        attempt: 4,
        exchange: Some(ExchangeRow {
            request_headers: Some(r#"{"webhook-id":"dlv_1"}"#.into()),
            request_body: Some(body.clone()),
            response_headers: Some(r#"{"content-type":"text/plain"}"#.into()),
            response_body: Some(Vec::new()),
            ..exchange()
        }),
        batch_id: Some("bat_0123".into()),
        ..failed("42", 918_273)
    };
    store.keep(&logging(vec![row.clone()])).await.unwrap();
    let found = store.delivery_attempts(row.subject.id, 10).await.unwrap();
    let [read] = &found[..] else {
        panic!("{found:?}")
    };
    assert_eq!(read.attempted_at, row.attempted_at);
    assert_eq!(read.subject.id, row.subject.id);
    assert_eq!(read.subject.record, row.subject.record);
    assert_eq!(&*read.subject.destination, "billing");
    assert_eq!(
        (read.attempt, read.cause, read.outcome),
        (4, row.cause, row.outcome)
    );
    assert_eq!(
        (read.status, read.error_class),
        (row.status, row.error_class)
    );
    assert_eq!(read.error, row.error);
    assert_eq!(read.coordinates, row.coordinates);
    assert_eq!(read.batch_id.as_deref(), Some("bat_0123"));
    assert_eq!(read.replica, "relay-1");
    let (logged, sent) = (read.exchange.as_ref().unwrap(), row.exchange.unwrap());
    assert_eq!((&*logged.method, &*logged.url), (sent.method, &*sent.url));
    assert_eq!(logged.request_headers, sent.request_headers);
    assert_eq!(logged.response_headers, sent.response_headers);
    assert_eq!(logged.request_body, sent.request_body);
    assert_eq!(logged.response_body, sent.response_body);
    assert_eq!(logged.timings, sent.timings);
    let stored = "select length(request_body) from attempts where body_encoding = 'zstd'";
    assert!(database.number(stored).await < i64::try_from(body.len()).unwrap());
}

async fn an_answer_with_nul_bytes_and_invalid_utf8_does_not_stop_the_log(database: Database) {
    let store = database.store();
    let answer = b"\x00\xff\xfe not text \x00".to_vec();
    let mut row = failed("42", 1);
    row.error = Some("answered 500: \0".into());
    row.exchange = Some(ExchangeRow {
        response_headers: Some("{\"x\":\"\0\"}".into()),
        response_body: Some(answer.clone()),
        ..exchange()
    });
    store
        .keep(&logging(vec![
            attempt("1", 1),
            row.clone(),
            attempt("2", 1),
        ]))
        .await
        .unwrap();
    let found = store.delivery_attempts(row.subject.id, 10).await.unwrap();
    let logged = found[0].exchange.as_ref().unwrap();
    assert_eq!(logged.response_body.as_deref(), Some(&answer[..]));
    assert_eq!(
        logged.response_headers.as_deref(),
        Some("{\"x\":\"\u{fffd}\"}")
    );
    assert_eq!(found[0].error.as_deref(), Some("answered 500: \u{fffd}"));
    assert_eq!(database.number("select count(*) from attempts").await, 3);
}

async fn a_row_without_a_request_or_a_readable_record_is_logged(database: Database) {
    let store = database.store();
    let mut row = failed("42", 0);
    row.subject.record = None;
    row.exchange = None;
    row.status = None;
    row.attempt = 0;
    row.outcome = Outcome::Quarantined;
    store.keep(&logging(vec![row.clone()])).await.unwrap();
    let found = store.delivery_attempts(row.subject.id, 10).await.unwrap();
    assert_eq!(found[0].subject.record, None);
    assert_eq!(found[0].exchange, None);
    assert_eq!(found[0].outcome, Outcome::Quarantined);
}

async fn expired_rows_are_hidden_at_once(database: Database) {
    let store = database.store();
    let mut gone = attempt("1", 1);
    gone.retention = Duration::ZERO;
    let kept = attempt("2", 1);
    store
        .keep(&logging(vec![gone.clone(), kept.clone()]))
        .await
        .unwrap();
    assert_eq!(database.number("select count(*) from attempts").await, 2);
    assert!(
        store
            .delivery_attempts(gone.subject.id, 10)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(store.delivery(gone.subject.id).await.unwrap().is_none());
    let page = store.attempts(&everything(), None, 10).await.unwrap();
    let ids: Vec<_> = page.rows.iter().map(|row| row.subject.id).collect();
    assert_eq!(ids, [kept.subject.id]);
    assert!(page.rows[0].expires_at > page.rows[0].attempted_at);
}

async fn the_ledger_holds_the_highest_acknowledged_version(database: Database) {
    let store = database.store();
    let mut deleted = entry("1", 9);
    deleted.is_deleted = true;
    let mut newer = entry("2", 8);
    newer.committed_at = now() - HOUR;
    store
        .keep(&acknowledging(vec![
            entry("1", 4),
            entry("2", 7),
            deleted.clone(),
        ]))
        .await
        .unwrap();
    store
        .keep(&acknowledging(vec![newer.clone()]))
        .await
        .unwrap();
    let wanted: Vec<_> = ["1", "2", "never"]
        .map(|key| KeyHash::of_key(&stream(), key))
        .into();
    let mut known = store.load_ledger(&stream(), &wanted).await.unwrap();
    known.sort_by_key(|(_, held)| held.version);
    let expected = [
        (wanted[1], Held::from(&newer)),
        (wanted[0], Held::from(&deleted)),
    ];
    assert_eq!(known, expected);
    let held = store.ledger_entry(&stream(), "1").await.unwrap().unwrap();
    assert_eq!(
        (held.version, held.is_deleted, held.is_suspect),
        (9, true, false)
    );
    assert_eq!(held.content_hash, deleted.content_hash);
    assert_eq!(held.mapping_fingerprint, deleted.mapping_fingerprint);
    assert_eq!(held.acknowledged_at, deleted.acknowledged_at);
    assert_eq!(held.committed_at, deleted.committed_at);
    assert!(
        store
            .ledger_entry(&stream(), "never")
            .await
            .unwrap()
            .is_none()
    );
    let unknown = stream_of("billing", "Driver");
    assert!(
        store
            .load_ledger(&unknown, &wanted)
            .await
            .unwrap()
            .is_empty()
    );
}

async fn an_acknowledgement_below_the_stored_version_makes_the_key_suspect(database: Database) {
    let store = database.store();
    store
        .keep(&acknowledging(vec![entry("1", 5), entry("2", 5)]))
        .await
        .unwrap();
    store
        .keep(&acknowledging(vec![
            entry("1", 4),
            entry("2", 5),
            entry("3", 1),
        ]))
        .await
        .unwrap();
    for (key, version, is_suspect) in [("1", 5, true), ("2", 5, false), ("3", 1, false)] {
        let held = store.ledger_entry(&stream(), key).await.unwrap().unwrap();
        assert_eq!(
            (held.version, held.is_suspect),
            (version, is_suspect),
            "key {key}"
        );
    }
}

async fn a_newer_acknowledgement_takes_the_doubt_away(database: Database) {
    let store = database.store();
    let mut doubtful = entry("1", 5);
    doubtful.is_suspect = true;
    store.keep(&acknowledging(vec![doubtful])).await.unwrap();
    let held = store.ledger_entry(&stream(), "1").await.unwrap().unwrap();
    assert!(held.is_suspect);
    store
        .keep(&acknowledging(vec![entry("1", 6)]))
        .await
        .unwrap();
    let held = store.ledger_entry(&stream(), "1").await.unwrap().unwrap();
    assert_eq!((held.version, held.is_suspect), (6, false));
}

async fn watermarks_are_only_raised(database: Database) {
    let store = database.store();
    let at = |offset, watermark| Watermark {
        offset_max: Some(offset),
        ..watermark
    };
    let batches = [
        (
            vec![watermark(0, 5), watermark(3, 9), watermark(0, 7)],
            None,
        ),
        (vec![watermark(0, 6), at(70, watermark(3, 10))], Some(70)),
        (
            vec![at(60, watermark(3, 8)), at(90, watermark(0, 1))],
            Some(70),
        ),
        (vec![at(80, watermark(3, 8))], Some(80)),
        (vec![watermark(3, 9)], Some(80)),
    ];
    for (watermarks, offset_max) in batches {
        let batch = Batch {
            watermarks,
            ..Batch::default()
        };
        store.keep(&batch).await.unwrap();
        let state = store.load_partition(&stream(), &partition()).await.unwrap();
        assert_eq!(state.offset_max, offset_max);
    }
    let state = store.load_partition(&stream(), &partition()).await.unwrap();
    assert_eq!(state.watermarks, [(0, 7), (3, 10)]);
}

async fn a_repeated_batch_adds_log_rows_and_changes_nothing_else(database: Database) {
    let store = database.store();
    store
        .keep(&Batch {
            parked: vec![keep(parked("old", 1))],
            ..Batch::default()
        })
        .await
        .unwrap();
    let batch = Batch {
        attempts: vec![failed("1", 4), attempt("1", 5), attempt("old", 1)],
        ledger: vec![entry("1", 4), entry("1", 5)],
        watermarks: vec![watermark(3, 5)],
        parked: vec![
            keep(parked("2", 1)),
            relay_core::rows::ParkedChange::Remove(id(&stream(), "old", 1)),
        ],
    };
    for _ in 0..3 {
        store.keep(&batch).await.unwrap();
    }
    let held = store.ledger_entry(&stream(), "1").await.unwrap().unwrap();
    assert_eq!((held.version, held.is_suspect), (5, false));
    let state = store.load_partition(&stream(), &partition()).await.unwrap();
    let ids: Vec<_> = state.parked.iter().map(|row| row.subject.id).collect();
    assert_eq!(ids, [id(&stream(), "2", 1)]);
    assert_eq!(state.watermarks, [(3, 5)]);
    assert_eq!(database.number("select count(*) from attempts").await, 9);
}

async fn two_threads_with_handles_of_their_own_keep_batches_at_once(database: Database) {
    const BATCHES: u64 = 20;
    let threads: Vec<_> = ["1", "2"]
        .into_iter()
        .map(|key| {
            let open = database.open.clone();
            std::thread::spawn(move || {
                tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap()
                    .block_on(async {
                        let store = replicates_relay::store::open(&open).unwrap();
                        for version in 1..=BATCHES {
                            let batch = Batch {
                                attempts: vec![attempt(key, version)],
                                // Both raise both keys: their transactions meet.
                                ledger: vec![entry("1", version), entry("2", version)],
                                ..Batch::default()
                            };
                            store.keep(&batch).await.unwrap();
                        }
                    });
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(
        database.number("select count(*) from attempts").await,
        2 * BATCHES.cast_signed()
    );
    let held = database
        .store()
        .ledger_entry(&stream(), "2")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(held.version, BATCHES);
}

#[tokio::test]
async fn two_threads_share_a_database_in_memory() {
    let database = Database::in_memory();
    // Held open: the database goes with its last handle.
    let held = database.store();
    held.migrate().await.unwrap();
    two_threads_with_handles_of_their_own_keep_batches_at_once(database).await;
}

async fn an_empty_batch_is_nothing(database: Database) {
    database.store().keep(&Batch::default()).await.unwrap();
    assert_eq!(database.number("select count(*) from attempts").await, 0);
}
