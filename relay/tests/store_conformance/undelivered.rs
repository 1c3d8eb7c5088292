//! Undelivered records, as the owner of their partition sees them.

use std::sync::Arc;
use std::time::Duration;

use relay_core::names::{KeyHash, Partition};
use relay_core::rows::{Batch, ParkedChange, ParkedReason, ParkedRow, ParkedState, Subject};
use replicates_relay::store::{Counts, RetryAnswer, RetryRequest};

use crate::databases::Database;
use crate::on_both_stores;
use crate::rows::*;

on_both_stores!(
    the_owner_loads_its_records_without_and_with_their_bytes,
    a_later_change_of_a_delivery_wins,
    a_record_without_a_readable_key_is_undelivered_too,
    undelivered_records_are_counted_by_state_up_to_a_bound,
    a_record_that_a_person_retries_is_found_by_its_owner_only,
    a_thousand_keys_and_more_are_looked_up_at_once,
);

fn parking(rows: Vec<ParkedRow>) -> Batch {
    Batch {
        parked: rows.into_iter().map(keep).collect(),
        ..Batch::default()
    }
}

fn in_state(state: ParkedState, key: &str) -> ParkedRow {
    ParkedRow {
        state,
        ..parked(key, 1)
    }
}

async fn the_owner_loads_its_records_without_and_with_their_bytes(database: Database) {
    let store = database.store();
    let mut row = parked("42", 7);
    row.committed_at = Some(now() - HOUR);
    let mut elsewhere = parked("43", 7);
    elsewhere.coordinates.partition += 1;
    elsewhere.home.number += 1;
    elsewhere.committed_at = None;
    store
        .keep(&parking(vec![row.clone(), elsewhere.clone()]))
        .await
        .unwrap();
    let state = store.load_partition(&stream(), &partition()).await.unwrap();
    let [index] = &state.parked[..] else {
        panic!("{:?}", state.parked)
    };
    assert_eq!(index.subject.id, row.subject.id);
    assert_eq!(index.subject.record, row.subject.record);
    assert_eq!(index.state, row.state);
    assert_eq!((index.attempts, index.charged), (3, 2));
    assert_eq!(index.committed_at, row.committed_at);
    assert_eq!(index.first_failed_at, row.first_failed_at);
    assert_eq!(index.coordinates, row.coordinates);
    let ids = [
        row.subject.id,
        elsewhere.subject.id,
        id(&stream(), "gone", 1),
    ];
    let loaded = store.load_parked(&ids).await.unwrap();
    assert_eq!(loaded.len(), 2);
    let loaded = loaded
        .iter()
        .find(|read| read.subject.id == row.subject.id)
        .unwrap();
    assert_eq!(loaded.record, row.record);
    assert_eq!(loaded.committed_at, row.committed_at);
    assert_eq!(loaded.last_failed_at, row.last_failed_at);
    assert_eq!(loaded.last_status, row.last_status);
    assert_eq!(loaded.error_class, row.error_class);
    assert_eq!(loaded.error, row.error);
}

async fn a_later_change_of_a_delivery_wins(database: Database) {
    let store = database.store();
    let row = parked("1", 1);
    let mut exhausted = row.clone();
    exhausted.state = ParkedState::Exhausted;
    exhausted.charged = 13;
    let batch = Batch {
        parked: vec![
            keep(row.clone()),
            keep(exhausted.clone()),
            keep(parked("2", 1)),
            ParkedChange::Remove(id(&stream(), "2", 1)),
            ParkedChange::Remove(id(&stream(), "3", 1)),
            keep(parked("3", 1)),
        ],
        ..Batch::default()
    };
    store.keep(&batch).await.unwrap();
    let state = store.load_partition(&stream(), &partition()).await.unwrap();
    let mut found: Vec<_> = state
        .parked
        .iter()
        .map(|row| (row.subject.id, row.state.as_str(), row.charged))
        .collect();
    found.sort_unstable_by_key(|row| row.2);
    assert_eq!(
        found,
        [
            (id(&stream(), "3", 1), "parked", 2),
            (row.subject.id, "exhausted", 13)
        ]
    );
}

async fn a_record_without_a_readable_key_is_undelivered_too(database: Database) {
    let store = database.store();
    let at = coordinates(17);
    let mut row = in_state(ParkedState::Quarantined, "42");
    row.record = None;
    row.subject = Subject {
        destination: "billing".into(),
        id: relay_core::names::DeliveryId {
            key_hash: KeyHash::of_coordinates("billing", &at),
            version: 0,
        },
        record: None,
    };
    store.keep(&parking(vec![row.clone()])).await.unwrap();
    let state = store.load_partition(&stream(), &partition()).await.unwrap();
    assert_eq!(state.parked[0].subject.record, None);
    assert_eq!(state.parked[0].state, ParkedState::Quarantined);
    let loaded = store.load_parked(&[row.subject.id]).await.unwrap();
    assert_eq!(loaded[0].record, None);
}

async fn undelivered_records_are_counted_by_state_up_to_a_bound(database: Database) {
    let store = database.store();
    let mut rows = vec![
        in_state(ParkedState::Exhausted, "e1"),
        in_state(ParkedState::Exhausted, "e2"),
        in_state(ParkedState::Rejected, "r"),
        in_state(ParkedState::Quarantined, "q"),
        parked_of(&stream_of("search", "Vehicle"), "other", 1),
    ];
    rows.extend((0..5).map(|key| parked(&key.to_string(), 1)));
    store.keep(&parking(rows)).await.unwrap();
    let counts = store.count_undelivered("billing", 100).await.unwrap();
    let expected = Counts {
        parked: 5,
        exhausted: 2,
        rejected: 1,
        quarantined: 1,
    };
    assert_eq!(counts, expected);
    assert_eq!(counts.total(), 9);
    let bounded = store.count_undelivered("billing", 3).await.unwrap();
    assert_eq!((bounded.parked, bounded.exhausted), (3, 2));
    let none = store.count_undelivered("fleet", 100).await.unwrap();
    assert_eq!(none.total(), 0);
}

async fn a_record_that_a_person_retries_is_found_by_its_owner_only(database: Database) {
    let store = database.store();
    let rows = vec![
        in_state(ParkedState::Exhausted, "1"),
        in_state(ParkedState::Rejected, "2"),
        parked("3", 1),
    ];
    store.keep(&parking(rows)).await.unwrap();
    let at = now() + Duration::from_secs(1);
    for key in ["1", "2"] {
        let request = RetryRequest {
            id: id(&stream(), key, 1),
            token_name: "ops".into(),
            at,
        };
        assert_eq!(store.retry(&request).await.unwrap(), RetryAnswer::Due);
    }
    let mine = [partition()];
    let found = store
        .find_manual_retries("billing", &mine, 10)
        .await
        .unwrap();
    let ids: Vec<_> = found.iter().map(|row| row.subject.id).collect();
    assert_eq!(ids, [id(&stream(), "1", 1), id(&stream(), "2", 1)]);
    for row in &found {
        let due = ParkedState::Parked {
            reason: ParkedReason::Manual,
            next_attempt_at: at,
        };
        assert_eq!((row.state, row.charged, row.attempts), (due, 0, 3));
    }
    let one = store
        .find_manual_retries("billing", &mine, 1)
        .await
        .unwrap();
    assert_eq!(one.len(), 1);
    let others = [Partition {
        number: 4,
        ..partition()
    }];
    for (destination, partitions) in [
        ("billing", &others[..]),
        ("billing", &[]),
        ("fleet", &mine[..]),
    ] {
        let found = store
            .find_manual_retries(destination, partitions, 10)
            .await
            .unwrap();
        assert!(found.is_empty());
    }
    assert_eq!(
        database
            .number("select count(*) from audit where token_name = 'ops'")
            .await,
        2
    );
}

async fn a_thousand_keys_and_more_are_looked_up_at_once(database: Database) {
    let store = database.store();
    let keys: Vec<String> = (0..2_500).map(|key| key.to_string()).collect();
    let batch = Batch {
        ledger: keys.iter().map(|key| entry(key, 3)).collect(),
        ..Batch::default()
    };
    store.keep(&batch).await.unwrap();
    let hashes: Vec<_> = keys
        .iter()
        .map(|key| KeyHash::of_key(&stream(), key))
        .collect();
    let versions = store.load_ledger(&stream(), &hashes).await.unwrap();
    assert_eq!(versions.len(), keys.len());
    assert!(versions.iter().all(|(_, held)| held.version == 3));
    let bytes: Arc<[u8]> = vec![0xab; 5 * 1024 * 1024].into();
    let mut large = parked("large", 1);
    large.record = Some(bytes.clone());
    store.keep(&parking(vec![large.clone()])).await.unwrap();
    let loaded = store.load_parked(&[large.subject.id]).await.unwrap();
    assert_eq!(loaded[0].record, Some(bytes));
}
