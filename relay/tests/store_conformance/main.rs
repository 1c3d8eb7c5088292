//! What every store does, run against each: a database of its own for each test.
//!
//! `RELAY_TEST_POSTGRES` names the server to make databases on; without it, the one that `bin/services up` started.
mod databases;
mod rows;

mod admin;
mod broken_off;
mod failover;
mod keeping;
mod migrating;
mod moving;
mod partitions;
mod reading;
mod refusals;
mod undelivered;

/// Makes a test for each store of each function, which takes a migrated [`databases::Database`].
macro_rules! on_both_stores {
    ($($behaviour:ident),+ $(,)?) => {
        mod postgres {
            $(#[tokio::test]
            async fn $behaviour() {
                super::$behaviour($crate::databases::Database::postgres().await.migrated().await).await;
            })+
        }
        mod sqlite {
            $(#[tokio::test]
            async fn $behaviour() {
                super::$behaviour($crate::databases::Database::sqlite().migrated().await).await;
            })+
        }
    };
}
pub(crate) use on_both_stores;
