//! What a failover leaves behind: servers that take no writes, whose rows may be old, and a primary that lost some.

use std::time::Duration;

use relay_core::names::KeyHash;
use relay_core::rows::Batch;
use relay_test_support::postgres_pair::PostgresPair;
use relay_test_support::wait::wait_until;
use replicates_relay::store::{self, Open, StoreError};
use sqlx::Executor;

use crate::databases::{Database, settings};
use crate::rows::*;

const PATIENCE: Duration = Duration::from_secs(20);

/// Of the database that one is connected to, for sessions to come.
fn default_read_only(is_on: &str) -> String {
    format!(
        "do $$ begin
           execute format('alter database %I set default_transaction_read_only = {is_on}', current_database());
         end $$"
    )
}

fn acknowledged(version: u64) -> Batch {
    Batch {
        attempts: vec![attempt("1", version)],
        ledger: vec![entry("1", version)],
        watermarks: vec![watermark(3, version)],
        ..Batch::default()
    }
}

#[tokio::test]
async fn a_database_that_takes_no_writes_is_away_and_no_row_is_blamed_for_it() {
    let database = Database::postgres().await.migrated().await;
    let mut operator = database.connect().await;
    operator
        .execute(default_read_only("on").as_str())
        .await
        .unwrap();
    let store = database.store();
    let error = store.keep(&acknowledged(1)).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
    assert!(error.to_string().contains("takes no writes"), "{error}");
    // Nor is it asked what it holds, or looked after.
    let (stream, partition) = (stream(), partition());
    let (loaded, again, upkeep) = tokio::join!(
        store.load_partition(&stream, &partition),
        store.load_partition(&stream, &partition),
        store.maintain()
    );
    for error in [loaded.unwrap_err(), again.unwrap_err(), upkeep.unwrap_err()] {
        assert!(error.to_string().contains("takes no writes"), "{error}");
    }

    // The operator's own session is an older one.
    operator
        .execute(default_read_only("off").as_str())
        .await
        .unwrap();
    store.keep(&acknowledged(1)).await.unwrap();
    assert_eq!(database.number("select count(*) from attempts").await, 1);
}

#[tokio::test]
async fn a_connection_that_still_reaches_a_primary_which_lost_its_place_is_not_used_again() {
    let servers = PostgresPair::start();
    let store = store::open(&settings(servers.url())).unwrap();
    store.migrate().await.unwrap();
    store.maintain().await.unwrap();
    store.keep(&acknowledged(1)).await.unwrap();

    servers.primary().make_read_only();
    servers.promote();
    servers.move_address();
    // Another replica that is there already.
    let beside = Open {
        replica: "relay-2".into(),
        ..settings(servers.standby().url())
    };
    store::open(&beside)
        .unwrap()
        .keep(&acknowledged(2))
        .await
        .unwrap();
    let key = KeyHash::of_key(&stream(), "1");
    let held = store.load_ledger(&stream(), &[key]).await.unwrap();
    assert_eq!(held[0].1.version, 2, "what the new primary holds");
    store.keep(&acknowledged(3)).await.unwrap();
    let rows = "select count(*) from attempts";
    assert_eq!(
        servers.standby().number(rows),
        3,
        "nothing of it is lost, and nothing stands there twice"
    );
    let connections =
        "select count(*) from pg_stat_activity where application_name = 'replicates-relay'";
    wait_until("the old primary is left alone", PATIENCE, || {
        servers.primary().number(connections) == 0
    });
}

/// A standby that was behind does not know the stream, though this replica remembers its number.
#[tokio::test]
async fn a_stream_that_a_failover_lost_gets_another_number() {
    let database = Database::postgres().await.migrated().await;
    let store = database.store();
    store.keep(&acknowledged(1)).await.unwrap();
    for table in ["watermarks", "ledger", "streams"] {
        database.execute(&format!("delete from {table}")).await;
    }
    store.keep(&acknowledged(2)).await.unwrap();
    let found = "select count(*) from ledger join streams on streams.id = ledger.stream_id";
    assert_eq!(database.number(found).await, 1);
}

/// And may know it by another number.
#[tokio::test]
async fn what_is_held_of_a_stream_is_found_after_a_failover_that_gave_it_another_number() {
    let database = Database::postgres().await.migrated().await;
    let store = database.store();
    store.keep(&acknowledged(1)).await.unwrap();
    for table in ["watermarks", "ledger", "streams"] {
        database.execute(&format!("delete from {table}")).await;
    }
    database.store().keep(&acknowledged(2)).await.unwrap();
    let end = "select pg_terminate_backend(pid) from pg_stat_activity
               where datname = current_database() and application_name = 'replicates-relay'";
    database.execute(end).await;
    let key = KeyHash::of_key(&stream(), "1");
    let held = store.load_ledger(&stream(), &[key]).await.unwrap();
    assert_eq!(held.first().map(|(_, held)| held.version), Some(2));
}
