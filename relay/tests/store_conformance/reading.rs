//! The log and the undelivered records as the admin API lists them.

use std::collections::BTreeSet;
use std::time::Duration;

use relay_core::exchange::ErrorClass;
use relay_core::rows::{AttemptRow, Batch, Outcome, ParkedRow, ParkedState};
use replicates_relay::store::{AttemptFilter, DeliveryFilter, DeliveryState};

use crate::databases::Database;
use crate::on_both_stores;
use crate::rows::*;

on_both_stores!(
    the_log_is_read_newest_first_page_by_page,
    the_log_is_narrowed_by_every_filter,
    undelivered_records_are_listed_newest_first_page_by_page,
    undelivered_records_are_narrowed_by_every_filter,
    a_delivery_is_undelivered_or_told_from_the_log,
);

/// A change to a filter, and how many rows it leaves.
type Narrowing<'a, F> = (&'a dyn Fn(&mut F), usize);

fn since(ago: Duration) -> AttemptFilter {
    AttemptFilter {
        destination: None,
        model: None,
        key: None,
        outcome: None,
        status: None,
        error_class: None,
        since: now() - ago,
        until: None,
    }
}

async fn the_log_is_read_newest_first_page_by_page(database: Database) {
    let store = database.store();
    // Spread over half an hour, with several rows at one moment.
    let attempts: Vec<AttemptRow> = (0..90u64)
        .map(|n| AttemptRow {
            attempted_at: now() - Duration::from_secs(20 * (n / 3)),
            retention: HOUR,
            ..attempt(&n.to_string(), 1)
        })
        .collect();
    let batch = Batch {
        attempts: attempts.clone(),
        ..Batch::default()
    };
    store.keep(&batch).await.unwrap();
    let filter = since(HOUR);
    let (mut read, mut after) = (Vec::new(), None);
    loop {
        let page = store.attempts(&filter, after, 20).await.unwrap();
        assert!(page.rows.len() <= 20);
        read.extend(page.rows);
        match page.next {
            // Through its text, as a client hands it back.
            Some(next) => after = Some(next.to_string().parse().unwrap()),
            None => break,
        }
    }
    assert_eq!(read.len(), attempts.len());
    assert!(read.is_sorted_by(|a, b| a.attempted_at >= b.attempted_at));
    let ids: BTreeSet<_> = read.iter().map(|row| row.subject.id).collect();
    assert_eq!(ids.len(), attempts.len());
    let recent = store
        .attempts(&since(Duration::from_secs(65)), None, 50)
        .await
        .unwrap();
    assert_eq!(recent.rows.len(), 12);
    assert!(recent.next.is_none());
}

async fn the_log_is_narrowed_by_every_filter(database: Database) {
    let store = database.store();
    let wanted = AttemptRow {
        attempted_at: now() - Duration::from_secs(600),
        outcome: Outcome::Rejected,
        status: Some(422),
        error_class: Some(ErrorClass::Http4xx),
        ..failed("42", 5)
    };
    let batch = Batch {
        attempts: vec![
            wanted.clone(),
            attempt("42", 6),
            failed("7", 1),
            attempt_of(&stream_of("billing", "Driver"), "42", 1),
            attempt_of(&stream_of("search", "Vehicle"), "42", 1),
        ],
        ..Batch::default()
    };
    store.keep(&batch).await.unwrap();
    let text = |value: &str| Some(value.to_owned());
    let narrowings: [Narrowing<'_, AttemptFilter>; 11] = [
        (&|filter| filter.destination = text("search"), 1),
        (&|filter| filter.model = text("Driver"), 1),
        (&|filter| filter.key = text("42"), 4),
        (
            &|filter| (filter.key, filter.model) = (text("42"), text("Vehicle")),
            3,
        ),
        (
            &|filter| (filter.key, filter.model) = (text("42"), text("Unheard")),
            0,
        ),
        (&|filter| filter.key = text("never"), 0),
        (&|filter| filter.outcome = Some(Outcome::Rejected), 1),
        (&|filter| filter.status = Some(500), 1),
        (&|filter| filter.error_class = Some(ErrorClass::Http4xx), 1),
        (
            &|filter| filter.until = Some(now() - Duration::from_secs(300)),
            1,
        ),
        (&|filter| filter.since = now() - Duration::from_secs(300), 4),
    ];
    for (narrow, expected) in narrowings {
        let mut filter = since(HOUR);
        narrow(&mut filter);
        let page = store.attempts(&filter, None, 50).await.unwrap();
        assert_eq!(page.rows.len(), expected, "{filter:?}");
    }
}

async fn undelivered_records_are_listed_newest_first_page_by_page(database: Database) {
    let store = database.store();
    for key in 0..7 {
        let batch = Batch {
            parked: vec![keep(parked(&key.to_string(), 1))],
            ..Batch::default()
        };
        store.keep(&batch).await.unwrap();
    }
    let (mut keys, mut after) = (Vec::new(), None);
    loop {
        let page = store
            .deliveries(&DeliveryFilter::default(), after, 3)
            .await
            .unwrap();
        keys.extend(
            page.rows
                .iter()
                .map(|row| row.subject.record.as_ref().unwrap().key.to_string()),
        );
        match page.next {
            Some(next) => after = Some(next.to_string().parse().unwrap()),
            None => break,
        }
    }
    assert_eq!(keys, ["6", "5", "4", "3", "2", "1", "0"]);
}

async fn undelivered_records_are_narrowed_by_every_filter(database: Database) {
    let store = database.store();
    let rejected = ParkedRow {
        state: ParkedState::Rejected,
        last_status: Some(422),
        error_class: Some(ErrorClass::Http4xx),
        last_failed_at: now() - Duration::from_secs(600),
        ..parked("42", 5)
    };
    let rows = [
        rejected,
        parked("7", 1),
        parked_of(&stream_of("billing", "Driver"), "42", 1),
        parked_of(&stream_of("search", "Vehicle"), "42", 1),
    ];
    let batch = Batch {
        parked: rows.into_iter().map(keep).collect(),
        ..Batch::default()
    };
    store.keep(&batch).await.unwrap();
    let text = |value: &str| Some(value.to_owned());
    let ago = |seconds| Some(now() - Duration::from_secs(seconds));
    let narrowings: [Narrowing<'_, DeliveryFilter>; 9] = [
        (&|_| {}, 4),
        (&|filter| filter.destination = text("search"), 1),
        (&|filter| filter.model = text("Driver"), 1),
        (&|filter| filter.key = text("42"), 3),
        (&|filter| filter.state = text("rejected"), 1),
        (&|filter| filter.error_class = Some(ErrorClass::Http5xx), 3),
        (&|filter| filter.status = Some(422), 1),
        (&|filter| filter.since = ago(300), 3),
        (&|filter| filter.until = ago(300), 1),
    ];
    for (narrow, expected) in narrowings {
        let mut filter = DeliveryFilter::default();
        narrow(&mut filter);
        let page = store.deliveries(&filter, None, 50).await.unwrap();
        assert_eq!(page.rows.len(), expected, "{filter:?}");
    }
}

async fn a_delivery_is_undelivered_or_told_from_the_log(database: Database) {
    let store = database.store();
    let earlier = now() - Duration::from_secs(60);
    let batch = Batch {
        attempts: vec![
            AttemptRow {
                attempted_at: earlier,
                ..failed("told", 1)
            },
            AttemptRow {
                attempt: 2,
                ..attempt("told", 1)
            },
            failed("trying", 1),
        ],
        parked: vec![keep(parked("waiting", 1))],
        ..Batch::default()
    };
    store.keep(&batch).await.unwrap();
    let find = async |key| store.delivery(id(&stream(), key, 1)).await.unwrap();
    let waiting = find("waiting").await.unwrap();
    assert_eq!(waiting.state.as_str(), "parked");
    assert_eq!((waiting.attempts, waiting.last_status), (3, Some(500)));
    let told = find("told").await.unwrap();
    assert_eq!(told.state, DeliveryState::Ended(Outcome::Delivered));
    assert_eq!((told.attempts, told.last_status), (2, Some(200)));
    assert_eq!(told.first_failed_at, Some(earlier));
    assert_eq!(told.error.as_deref(), Some("answered 500"));
    let trying = find("trying").await.unwrap();
    assert_eq!(trying.state, DeliveryState::InFlight);
    assert!(find("never").await.is_none());
}
