//! One bad row does not stop the log.

use relay_core::rows::{Batch, ParkedChange};
use replicates_relay::store::StoreError;

use crate::databases::Database;
use crate::on_both_stores;
use crate::rows::*;

on_both_stores!(
    of_a_refused_batch_all_is_kept_and_the_bad_row_without_its_text,
    a_row_that_is_refused_even_bare_means_that_the_store_is_down,
);

/// From now on rows of the log with this error text, or this key, are refused.
async fn refuse(database: &Database, condition: &str) {
    let sql = if database.is_postgres() {
        format!(
            "alter table attempts add constraint refused check (not coalesce({condition}, false))"
        )
    } else {
        format!(
            "create trigger refused before insert on attempts
             when new.{condition} begin select raise(abort, 'refused'); end"
        )
    };
    database.execute(&sql).await;
}

async fn of_a_refused_batch_all_is_kept_and_the_bad_row_without_its_text(database: Database) {
    let store = database.store();
    store
        .keep(&Batch {
            parked: vec![keep(parked("5", 1))],
            ..Batch::default()
        })
        .await
        .unwrap();
    refuse(&database, "error = 'poison'").await;
    let keys: Vec<String> = (0..20).map(|key| key.to_string()).collect();
    let mut bad = parked("7", 1);
    bad.error = "poison".into();
    let mut batch = Batch {
        attempts: keys.iter().map(|key| failed(key, 1)).collect(),
        ledger: keys.iter().map(|key| entry(key, 1)).collect(),
        watermarks: vec![watermark(3, 1)],
        parked: vec![ParkedChange::Remove(id(&stream(), "5", 1)), keep(bad)],
    };
    batch.attempts[7].error = Some("poison".into());
    store.keep(&batch).await.unwrap();
    assert_eq!(database.number("select count(*) from attempts").await, 20);
    assert_eq!(
        database
            .number("select count(*) from attempts where error is null")
            .await,
        1
    );
    assert_eq!(database.number("select count(*) from ledger").await, 20);
    let state = store.load_partition(&stream(), &partition()).await.unwrap();
    let ids: Vec<_> = state.parked.iter().map(|row| row.subject.id).collect();
    assert_eq!(ids, [id(&stream(), "7", 1)]);
    assert_eq!(state.watermarks, [(3, 1)]);
    let bare = store.delivery_attempts(ids[0], 10).await.unwrap();
    assert_eq!(bare[0].status, Some(500));
}

async fn a_row_that_is_refused_even_bare_means_that_the_store_is_down(database: Database) {
    let store = database.store();
    refuse(&database, "key = '7'").await;
    let batch = Batch {
        attempts: (0..20).map(|key| attempt(&key.to_string(), 1)).collect(),
        ..Batch::default()
    };
    let error = store.keep(&batch).await.unwrap_err();
    assert!(matches!(error, StoreError::Refused { .. }), "{error}");
    let named = id(&stream(), "7", 1).to_string();
    assert!(error.to_string().contains(&named), "{error}");
}
