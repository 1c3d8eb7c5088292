//! Topics get more partitions, or are made again with fewer: whose an undelivered record is then.

use std::time::Duration;

use relay_core::names::{DeliveryId, Partition};
use relay_core::rows::{Batch, CountChange, HomePartition, Move, ParkedChange, ParkedEntry};

use crate::databases::Database;
use crate::on_both_stores;
use crate::rows::{id, keep, parked, partition, stream};
use replicates_relay::store::{DeliveryFilter, NotedCount, Owned, Store};

on_both_stores!(
    what_is_handed_on_is_its_new_owners_and_says_where_it_was_read,
    a_move_that_is_written_twice_moves_once,
    what_was_handed_on_is_found_once_and_by_nobody_else,
    what_belongs_to_a_partition_that_is_gone_is_handed_to_the_first,
    a_change_of_the_count_is_told_to_the_first_that_sees_it,
);

fn numbered(number: i32) -> Partition {
    Partition {
        number,
        ..partition()
    }
}

/// Hands a record from the partition it was read from to another.
fn hand_on(id: DeliveryId, number: i32) -> Batch {
    let to = Move {
        from: partition().number,
        to: HomePartition {
            number,
            of: Some(12),
        },
    };
    Batch {
        parked: vec![ParkedChange::Move(id, to)],
        ..Batch::default()
    }
}

fn parking(key: &str) -> Batch {
    Batch {
        parked: vec![keep(parked(key, 1))],
        ..Batch::default()
    }
}

async fn take(store: &dyn Store, partitions: &[Partition]) -> Vec<ParkedEntry> {
    let owned = Owned {
        partitions,
        ends: &[],
    };
    store.take_moved("billing", &owned, 10).await.unwrap()
}

async fn loaded(store: &dyn Store, number: i32) -> Vec<ParkedEntry> {
    let partition = numbered(number);
    let state = store.load_partition(&stream(), &partition).await.unwrap();
    state.parked
}

async fn what_is_handed_on_is_its_new_owners_and_says_where_it_was_read(database: Database) {
    let store = database.store();
    let store = store.as_ref();
    let before = parked("1", 1);
    store.keep(&parking("1")).await.unwrap();
    let [entry] = &loaded(store, partition().number).await[..] else {
        panic!()
    };
    assert_eq!(entry.home, before.home);
    store.keep(&hand_on(entry.subject.id, 9)).await.unwrap();
    assert!(loaded(store, partition().number).await.is_empty());
    let [entry] = &loaded(store, 9).await[..] else {
        panic!()
    };
    let home = HomePartition {
        number: 9,
        of: Some(12),
    };
    assert_eq!(entry.home, home);
    assert_eq!(entry.coordinates, before.coordinates);
    // Tried again, and kept by its new owner.
    let mut again = store.load_parked(&[entry.subject.id]).await.unwrap();
    assert_eq!(again[0].home, home);
    again[0].attempts += 1;
    let batch = Batch {
        parked: vec![keep(again[0].clone())],
        ..Batch::default()
    };
    store.keep(&batch).await.unwrap();
    let kept = store.load_parked(&[entry.subject.id]).await.unwrap();
    assert_eq!(kept[0].home, home);
    assert_eq!(kept[0].coordinates, before.coordinates);
    let all = DeliveryFilter::default();
    let page = store.deliveries(&all, None, 10).await.unwrap();
    assert_eq!(page.rows[0].coordinates, before.coordinates);
}

async fn a_move_that_is_written_twice_moves_once(database: Database) {
    let store = database.store();
    let store = store.as_ref();
    store.keep(&parking("1")).await.unwrap();
    let id = id(&stream(), "1", 1);
    store.keep(&hand_on(id, 9)).await.unwrap();
    assert_eq!(take(store, &[numbered(9)]).await.len(), 1);
    let on = Move {
        from: 9,
        to: HomePartition {
            number: 11,
            of: Some(13),
        },
    };
    let batch = Batch {
        parked: vec![ParkedChange::Move(id, on)],
        ..Batch::default()
    };
    store.keep(&batch).await.unwrap();
    store.keep(&hand_on(id, 9)).await.unwrap();
    assert!(loaded(store, 9).await.is_empty());
    assert_eq!(loaded(store, 11).await.len(), 1);
}

async fn what_was_handed_on_is_found_once_and_by_nobody_else(database: Database) {
    let store = database.store();
    let store = store.as_ref();
    for key in ["1", "2", "3"] {
        store.keep(&parking(key)).await.unwrap();
    }
    for key in ["1", "2"] {
        store
            .keep(&hand_on(id(&stream(), key, 1), 9))
            .await
            .unwrap();
    }
    assert!(take(store, &[]).await.is_empty());
    assert!(take(store, &[partition(), numbered(8)]).await.is_empty());
    let mine = [numbered(8), numbered(9)];
    let owned = Owned {
        partitions: &mine,
        ends: &[],
    };
    let elsewhere = store.take_moved("fleet", &owned, 10).await.unwrap();
    assert!(elsewhere.is_empty());
    let first = store.take_moved("billing", &owned, 1).await.unwrap();
    assert_eq!(first[0].subject.id, id(&stream(), "1", 1));
    assert_eq!(first[0].home.number, 9);
    let rest = take(store, &mine).await;
    assert_eq!(rest.len(), 1);
    assert_eq!(rest[0].subject.id, id(&stream(), "2", 1));
    assert!(take(store, &mine).await.is_empty());
}

async fn what_belongs_to_a_partition_that_is_gone_is_handed_to_the_first(database: Database) {
    let store = database.store();
    let store = store.as_ref();
    store.keep(&parking("1")).await.unwrap();
    let before = partition().number;
    let mine = [numbered(0)];
    let found_with = async |ends: &[Partition]| {
        let owned = Owned {
            partitions: &mine,
            ends,
        };
        store.take_moved("billing", &owned, 10).await.unwrap()
    };
    assert!(found_with(&[numbered(before + 1)]).await.is_empty());
    let found = found_with(&[numbered(before)]).await;
    assert_eq!(found[0].home.number, 0);
    assert_ne!(found[0].home.of, Some(before), "it may move on");
    assert_eq!(found[0].coordinates.partition, before);
}

async fn a_change_of_the_count_is_told_to_the_first_that_sees_it(database: Database) {
    let store = database.store();
    let note = async |count| {
        let noted = store.note_partition_count(&stream(), count).await;
        noted.unwrap()
    };
    let nothing = NotedCount {
        replaced: None,
        change: None,
    };
    assert_eq!(note(2).await, nothing);
    assert_eq!(note(2).await, nothing);
    let seen = note(6).await;
    assert_eq!(seen.replaced, Some(2));
    let again = note(6).await;
    assert_eq!(again.replaced, None);
    let Some(CountChange { before: 2, age }) = again.change else {
        panic!("{again:?}")
    };
    assert!(age < Duration::from_secs(60), "{age:?}");
}
