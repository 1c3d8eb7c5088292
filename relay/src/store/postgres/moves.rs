//! Undelivered records on their way from one partition's owner to another's.

use relay_core::names::{DeliveryId, Partition};
use relay_core::rows::{Move, ParkedEntry};
use sqlx::PgConnection;

use super::parked::{COLUMNS, columns_of, index_row};
use crate::store::lease::Trouble;

/// Hands them on. What is not where it was said to be stays where it is: it has gone before.
pub(super) async fn hand_on(
    connection: &mut PgConnection,
    moved: &[(DeliveryId, Move)],
) -> Result<(), sqlx::Error> {
    if moved.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = moved.iter().map(|(id, _)| *id).collect();
    let (key_hashes, versions) = columns_of(&ids);
    let of = |part: fn(&Move) -> Option<i32>| -> Vec<Option<i32>> {
        moved.iter().map(|(_, to)| part(to)).collect()
    };
    sqlx::query(
        "
        update parked set
          read_partition = coalesce(read_partition, partition_number),
          partition_number = moves.number,
          partition_count = moves.of,
          moved = true
        from unnest($1::uuid[], $2::bigint[], $3::int[], $4::int[], $5::int[])
          as moves (key_hash, version, from_number, number, of)
        where parked.key_hash = moves.key_hash and parked.version = moves.version
          and parked.partition_number = moves.from_number
        ",
    )
    .bind(&key_hashes)
    .bind(&versions)
    .bind(of(|to| Some(to.from)))
    .bind(of(|to| Some(to.to.number)))
    .bind(of(|to| to.to.of))
    .execute(connection)
    .await?;
    Ok(())
}

/// Takes what was handed to these partitions.
pub(super) async fn take(
    connection: &mut PgConnection,
    destination: &str,
    partitions: &[Partition],
    limit: u32,
) -> Result<Vec<ParkedEntry>, Trouble> {
    let (topics, numbers) = names_of(partitions);
    let rows = sqlx::query(&format!(
        "
        update parked set moved = false
        where id in (
          select id from parked
          where moved and destination = $1
            and (topic, partition_number) in (select * from unnest($2::text[], $3::int[]))
          order by id limit $4
        )
        returning {COLUMNS}
        "
    ))
    .bind(destination)
    .bind(&topics)
    .bind(&numbers)
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await?;
    rows.iter().map(index_row).collect()
}

/// Hands what belongs to partitions from these on, which their topics do not have any more, to the first of each.
pub(super) async fn hand_on_abandoned(
    connection: &mut PgConnection,
    destination: &str,
    ends: &[Partition],
) -> Result<(), sqlx::Error> {
    let (topics, numbers) = names_of(ends);
    sqlx::query(
        "
        update parked set
          read_partition = coalesce(read_partition, partition_number),
          partition_number = 0,
          partition_count = 0,
          moved = true
        from unnest($2::text[], $3::int[]) as ends (topic, number)
        where parked.destination = $1 and parked.topic = ends.topic and parked.partition_number >= ends.number
        ",
    )
    .bind(destination)
    .bind(&topics)
    .bind(&numbers)
    .execute(connection)
    .await?;
    Ok(())
}

fn names_of(partitions: &[Partition]) -> (Vec<&str>, Vec<i32>) {
    let names = partitions.iter();
    names
        .map(|partition| (&*partition.topic, partition.number))
        .unzip()
}
