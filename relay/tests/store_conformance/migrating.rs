//! Migrations, and a store that is not there.

use replicates_relay::store::{self, Open, StoreError};

use crate::databases::Database;

async fn says_what_is_pending_until_it_is_migrated(database: Database) {
    let store = database.store();
    let pending = store.require_migrated().await.unwrap_err();
    let StoreError::Pending(names) = &pending else {
        panic!("{pending}");
    };
    assert_eq!(names[0], "0001_store");
    assert_eq!(&store.migrate().await.unwrap(), names);
    store.require_migrated().await.unwrap();
    assert!(store.migrate().await.unwrap().is_empty());
    let migrations = store.migrations().await.unwrap();
    assert!(
        migrations
            .iter()
            .all(|migration| migration.applied_at.is_some())
    );
}

#[tokio::test]
async fn a_new_postgres_store_says_what_is_pending_until_it_is_migrated() {
    says_what_is_pending_until_it_is_migrated(Database::postgres().await).await;
}

#[tokio::test]
async fn a_new_sqlite_store_says_what_is_pending_until_it_is_migrated() {
    says_what_is_pending_until_it_is_migrated(Database::sqlite()).await;
}

#[tokio::test]
async fn replicas_that_migrate_at_once_apply_each_migration_once() {
    let database = Database::postgres().await;
    let (first, second) = (database.store(), database.store());
    let (first, second) = tokio::join!(first.migrate(), second.migrate());
    first.unwrap();
    second.unwrap();
    let migrations = database.store().migrations().await.unwrap();
    assert_eq!(
        database
            .number("select count(*) from _sqlx_migrations")
            .await,
        i64::try_from(migrations.len()).unwrap()
    );
}

#[tokio::test]
async fn a_store_that_cannot_be_reached_says_why() {
    let database = Database::sqlite();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let nobody = Open {
        url: format!("postgres://relay:hunter2@127.0.0.1:{port}/relay"),
        ..database.open.clone()
    };
    let error = store::open(&nobody).unwrap().ping().await.unwrap_err();
    assert!(error.to_string().contains("Connection refused"), "{error}");
    assert!(!format!("{error:?} {nobody:?}").contains("hunter2"));
}

#[test]
fn a_url_of_another_database_is_refused_without_showing_it() {
    let database = Database::sqlite();
    let wrong = Open {
        url: "mysql://relay:hunter2@localhost/relay".into(),
        ..database.open.clone()
    };
    let error = store::open(&wrong).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("mysql"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
}
