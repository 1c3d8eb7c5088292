//! A connection that breaks while a batch is committed: nobody knows whether it was written.

use std::sync::Arc;
use std::time::Duration;

use relay_core::rows::Batch;
use relay_test_support::tcp_proxy::{Flow, TcpProxy};
use replicates_relay::store::{self, Open};
use sqlx::PgConnection;

use crate::databases::Database;
use crate::rows::*;

const PATIENCE: Duration = Duration::from_secs(20);

/// Commits take a while from now on.
const LINGER: &str = "
    create function linger() returns trigger language plpgsql as
      $$ begin perform pg_sleep(0.5); return null; end $$;
    create constraint trigger lingers after insert or update on ledger
      deferrable initially deferred for each row execute function linger();";

#[tokio::test]
async fn a_batch_whose_commit_was_not_answered_stands_in_the_log_once_after_it_was_kept_again() {
    let database = Database::postgres().await.migrated().await;
    database.execute(LINGER).await;
    let (_, place) = database.open.url.rsplit_once('@').unwrap();
    let proxy = TcpProxy::to(place.split('/').next().unwrap());
    let open = Open {
        url: proxy.url(&database.open.url),
        ..database.open.clone()
    };
    let store = store::open(&open).unwrap();
    let batch = Arc::new(Batch {
        attempts: vec![attempt("1", 1), attempt("2", 1)],
        ledger: vec![entry("1", 1), entry("2", 1)],
        ..Batch::default()
    });
    let (keeping, kept) = (store.clone(), batch.clone());
    let first = tokio::spawn(async move { keeping.keep(&kept).await });
    wait_until_it_commits(&mut database.connect().await).await;
    proxy.set(Flow::Cut);
    first.await.unwrap().unwrap_err();
    proxy.set(Flow::Pass);
    store.keep(&batch).await.unwrap();
    let rows = "select count(*) from attempts";
    assert_eq!(database.number(rows).await, 2);

    // What has been kept for sure is not looked for any more.
    store.keep(&batch).await.unwrap();
    assert_eq!(database.number(rows).await, 4);
}

async fn wait_until_it_commits(connection: &mut PgConnection) {
    let committing = "select exists (select from pg_stat_activity
      where datname = current_database() and wait_event = 'PgSleep')";
    let waiting = async {
        while !sqlx::query_scalar::<_, bool>(committing)
            .fetch_one(&mut *connection)
            .await
            .unwrap()
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap();
}
