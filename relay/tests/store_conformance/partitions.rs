//! Partitions of the log on Postgres: there in time, gone in time, and never in the way.

use std::time::Duration;

use relay_core::rows::Batch;
use replicates_relay::store::{Open, StoreError, open};
use sqlx::{Connection, Executor, PgConnection};

use crate::databases::Database;
use crate::rows::*;

/// Far longer than anything takes that nobody holds up.
const HELD_UP: Duration = Duration::from_secs(8);

fn logging(key: &str) -> Batch {
    Batch {
        attempts: vec![attempt(key, 1)],
        ..Batch::default()
    }
}

async fn migrated() -> Database {
    Database::postgres().await.migrated().await
}

/// A partition that ended long ago, with a row.
async fn add_ended(database: &Database, day: &str) {
    database
        .execute(&format!(
            "create table attempts_p202001{day}t0000 partition of attempts
               for values from ('2020-01-{day}') to ('2020-01-{day} 12:00+00');
             insert into attempts (expires_at, attempted_at, destination, key_hash, version, attempt, cause, outcome,
               body_encoding, topic, partition_number, offset_number, replica)
             values ('2020-01-{day} 01:00+00', '2020-01-01', 'billing', gen_random_uuid(), 1, 1, 'live', 'delivered',
               'none', 'topic', 0, 0, 'relay-1')"
        ))
        .await;
}

async fn tables_of_2020(database: &Database) -> i64 {
    database
        .number(
            "select count(*) from pg_class where relname like 'attempts_p2020%' and relkind = 'r'",
        )
        .await
}

/// A reader of the log that stays until its transaction ends.
async fn reader(database: &Database) -> PgConnection {
    let mut connection = database.connect().await;
    connection
        .execute("begin; select count(*) from attempts")
        .await
        .unwrap();
    connection
}

/// Waits until a backend of this database waits for a lock with such a statement.
async fn until_waiting(database: &Database, statement: &str) {
    let sql = format!(
        "select count(*) from pg_stat_activity
         where datname = current_database() and wait_event_type = 'Lock' and query like '{statement}%'"
    );
    let waiting = async {
        while database.number(&sql).await == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(HELD_UP, waiting)
        .await
        .expect(statement);
}

#[tokio::test]
async fn ended_partitions_are_dropped_and_undelivered_records_stay() {
    let database = migrated().await;
    let store = database.store();
    add_ended(&database, "01").await;
    add_ended(&database, "02").await;
    let mut batch = logging("1");
    batch.parked = vec![keep(parked("2", 1))];
    store.keep(&batch).await.unwrap();
    let upkeep = store.maintain().await.unwrap();
    assert_eq!((upkeep.attached, upkeep.dropped), (0, 2));
    assert_eq!(tables_of_2020(&database).await, 0);
    assert_eq!(database.number("select count(*) from attempts").await, 1);
    assert_eq!(database.number("select count(*) from parked").await, 1);
}

#[tokio::test]
async fn a_missing_next_partition_is_reported_and_made() {
    let database = migrated().await;
    let store = database.store();
    let ready = store.partitions().await.unwrap();
    assert_eq!((ready.ahead, ready.next_is_missing), (2, false));
    let last = "select relname::text from pg_inherits join pg_class on pg_class.oid = inhrelid
                where inhparent = 'attempts'::regclass order by relname desc limit 2";
    let mut connection = database.connect().await;
    for name in sqlx::query_scalar::<_, String>(last)
        .fetch_all(&mut connection)
        .await
        .unwrap()
    {
        database.execute(&format!("drop table {name}")).await;
    }
    let missing = store.partitions().await.unwrap();
    assert_eq!((missing.ahead, missing.next_is_missing), (0, true));
    let upkeep = store.maintain().await.unwrap();
    assert_eq!(upkeep.attached, 2);
    assert!(!upkeep.partitions.next_is_missing);
}

#[tokio::test]
async fn a_longer_retention_and_another_width_extend_what_is_there() {
    let database = migrated().await;
    let longer = Open {
        partition_width: 24 * HOUR,
        longest_retention: (240 * HOUR).into(),
        ..database.open.clone()
    };
    let store = open(&longer).unwrap();
    assert!(store.partitions().await.unwrap().next_is_missing);
    let upkeep = store.maintain().await.unwrap();
    assert_eq!(upkeep.partitions.ahead, 2);
    let mut row = attempt("1", 1);
    row.retention = 240 * HOUR;
    let batch = Batch {
        attempts: vec![row.clone()],
        ..Batch::default()
    };
    store.keep(&batch).await.unwrap();
    let logged = store.delivery_attempts(row.subject.id, 1).await.unwrap();
    assert!(logged[0].expires_at >= row.attempted_at + 239 * HOUR);
}

#[tokio::test]
async fn an_expiry_beyond_all_partitions_is_kept_in_the_last_one() {
    let database = migrated().await;
    let store = database.store();
    // The store has read which partitions there are; then some go.
    store.keep(&logging("1")).await.unwrap();
    database
        .execute(
            "do $$ declare part text; begin
               for part in select inhrelid::regclass::text from pg_inherits
                 where inhparent = 'attempts'::regclass order by 1 offset 2
               loop execute 'drop table ' || part; end loop;
             end $$",
        )
        .await;
    let mut row = attempt("2", 1);
    row.retention = 5 * HOUR;
    let batch = Batch {
        attempts: vec![row.clone()],
        ..Batch::default()
    };
    store.keep(&batch).await.unwrap();
    let logged = store.delivery_attempts(row.subject.id, 1).await.unwrap();
    assert!(logged[0].expires_at < row.attempted_at + 3 * HOUR);
}

#[tokio::test]
async fn a_log_without_partitions_says_so() {
    let database = Database::postgres().await;
    let store = database.store();
    store.migrate().await.unwrap();
    let error = store.keep(&logging("1")).await.unwrap_err();
    assert!(matches!(error, StoreError::NoPartition), "{error}");
}

#[tokio::test]
async fn a_slow_reader_holds_up_neither_the_log_nor_the_making_of_partitions() {
    let database = migrated().await;
    add_ended(&database, "01").await;
    let longer = Open {
        longest_retention: (12 * HOUR).into(),
        ..database.open.clone()
    };
    let mut slow = reader(&database).await;
    let upkeep = tokio::spawn(async move { open(&longer).unwrap().maintain().await });
    until_waiting(&database, "alter table attempts detach").await;
    let store = database.store();
    tokio::time::timeout(HELD_UP, store.keep(&logging("1")))
        .await
        .expect("the log waits for the reader")
        .unwrap();
    let made = "select count(*) from pg_inherits where inhparent = 'attempts'::regclass";
    assert!(database.number(made).await > 14);
    slow.execute("commit").await.unwrap();
    let upkeep = upkeep.await.unwrap().unwrap();
    assert_eq!((upkeep.attached, upkeep.dropped), (6, 1));
}

#[tokio::test]
async fn a_detaching_that_was_cut_short_is_finished_by_the_next_round() {
    let database = migrated().await;
    add_ended(&database, "01").await;
    add_ended(&database, "02").await;
    let mut slow = reader(&database).await;
    let mut cut_short = database.connect().await;
    cut_short
        .execute("set statement_timeout = '300ms'")
        .await
        .unwrap();
    let error = cut_short
        .execute("alter table attempts detach partition attempts_p20200101t0000 concurrently")
        .await
        .unwrap_err();
    assert!(error.to_string().contains("statement timeout"), "{error}");
    let pending = "select count(*) from pg_inherits where inhdetachpending";
    assert_eq!(database.number(pending).await, 1);
    slow.execute("commit").await.unwrap();
    let store = database.store();
    store.keep(&logging("1")).await.unwrap();
    assert_eq!(store.maintain().await.unwrap().dropped, 2);
    assert_eq!(tables_of_2020(&database).await, 0);
}

#[tokio::test]
async fn a_partition_that_was_detached_but_not_dropped_is_dropped_by_the_next_round() {
    let database = migrated().await;
    add_ended(&database, "01").await;
    database
        .execute("alter table attempts detach partition attempts_p20200101t0000")
        .await;
    assert_eq!(database.store().maintain().await.unwrap().dropped, 1);
    assert_eq!(tables_of_2020(&database).await, 0);
}

#[tokio::test]
async fn upkeep_is_left_to_the_replica_that_is_at_it() {
    let database = migrated().await;
    add_ended(&database, "01").await;
    let mut other = database.connect().await;
    let lock = 0x7265_706c_6963_6174_i64;
    other
        .execute(format!("select pg_advisory_lock({lock})").as_str())
        .await
        .unwrap();
    let store = database.store();
    assert_eq!(store.maintain().await.unwrap().dropped, 0);
    other.close().await.unwrap();
    let taken = async { while store.maintain().await.unwrap().dropped == 0 {} };
    tokio::time::timeout(HELD_UP, taken)
        .await
        .expect("the lock is free");
}
