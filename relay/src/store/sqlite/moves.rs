//! Undelivered records on their way from one partition's owner to another's.

use relay_core::names::{DeliveryId, Partition};
use relay_core::rows::{Move, ParkedEntry};
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use super::parked::{COLUMNS, index_row};
use crate::store::lease::Trouble;
use crate::store::words::signed;

/// Hands one on. What is not where it was said to be stays where it is: it has gone before.
pub(super) async fn hand_on(
    connection: &mut SqliteConnection,
    id: DeliveryId,
    Move { from, to }: Move,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "
        update parked set
          read_partition = coalesce(read_partition, partition_number),
          partition_number = ?,
          partition_count = ?,
          moved = true
        where key_hash = ? and version = ? and partition_number = ?
        ",
    )
    .bind(to.number)
    .bind(to.of)
    .bind(&id.key_hash.0[..])
    .bind(signed(id.version))
    .bind(from)
    .execute(connection)
    .await?;
    Ok(())
}

/// Takes what was handed to these partitions.
pub(super) async fn take(
    connection: &mut SqliteConnection,
    destination: &str,
    partitions: &[Partition],
    limit: u32,
) -> Result<Vec<ParkedEntry>, Trouble> {
    if partitions.is_empty() {
        return Ok(vec![]);
    }
    let mut query = QueryBuilder::<Sqlite>::new(
        "update parked set moved = false where id in (select id from parked where moved and destination = ",
    );
    query
        .push_bind(destination)
        .push(" and (topic, partition_number) in ");
    query.push_tuples(partitions, |mut tuple, partition| {
        tuple
            .push_bind(&*partition.topic)
            .push_bind(partition.number);
    });
    query
        .push(" order by id limit ")
        .push_bind(limit)
        .push(") returning ")
        .push(COLUMNS);
    let rows = query.build().fetch_all(connection).await?;
    rows.iter().map(index_row).collect()
}

/// Hands what belongs to partitions from this on, which its topic does not have any more, to the first.
pub(super) async fn hand_on_abandoned(
    connection: &mut SqliteConnection,
    destination: &str,
    end: &Partition,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "
        update parked set
          read_partition = coalesce(read_partition, partition_number),
          partition_number = 0,
          partition_count = 0,
          moved = true
        where destination = ? and topic = ? and partition_number >= ?
        ",
    )
    .bind(destination)
    .bind(&*end.topic)
    .bind(end.number)
    .execute(connection)
    .await?;
    Ok(())
}
