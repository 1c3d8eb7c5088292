//! Streams, the ledger and the watermarks.

use std::collections::HashMap;
use std::time::Duration;

use relay_core::names::{ContentHash, KeyHash, Stream};
use relay_core::rows::{Batch, CountChange, Held, LedgerEntry, Watermark};
use sqlx::{Connection, Row, SqliteConnection};

use super::connection::find_now;
use crate::store::lease::Trouble;
use crate::store::reduce::{self, Acknowledged};
use crate::store::text::storable;
use crate::store::undelivered::NotedCount;
use crate::store::words::{Table, signed};

const TABLE: Table = Table("ledger");

/// The numbers of all streams of a batch; new ones get theirs.
pub(super) async fn number_streams<'b>(
    connection: &mut SqliteConnection,
    batch: &'b Batch,
) -> Result<HashMap<&'b Stream, i64>, sqlx::Error> {
    let mut numbers = HashMap::new();
    for stream in reduce::streams(batch) {
        numbers.insert(stream, number_stream(&mut *connection, stream).await?);
    }
    Ok(numbers)
}

async fn number_stream(
    connection: &mut SqliteConnection,
    stream: &Stream,
) -> Result<i64, sqlx::Error> {
    sqlx::query(
        "insert into streams (destination, source, model) values (?, ?, ?) on conflict do nothing",
    )
    .bind(&*stream.destination)
    .bind(&*stream.source)
    .bind(&*stream.model)
    .execute(&mut *connection)
    .await?;
    let id = find_stream(connection, stream).await?;
    id.ok_or(sqlx::Error::RowNotFound)
}

/// Notes how many partitions a stream's topic has.
pub(super) async fn note_count(
    connection: &mut SqliteConnection,
    stream: &Stream,
    count: i32,
) -> Result<NotedCount, Trouble> {
    let mut transaction = connection.begin_with("begin immediate").await?;
    let id = number_stream(&mut transaction, stream).await?;
    let now = find_now(&mut transaction).await?;
    let known: Option<i32> = sqlx::query_scalar("select partition_count from streams where id = ?")
        .bind(id)
        .fetch_one(&mut *transaction)
        .await?;
    let replaced = known.filter(|known| *known != count);
    sqlx::query(
        "
        update streams set
          partition_count = ?1,
          partition_count_before = coalesce(?2, partition_count_before),
          partition_count_changed_at = iif(?2 is null, partition_count_changed_at, ?3)
        where id = ?4
        ",
    )
    .bind(count)
    .bind(replaced)
    .bind(now.as_microsecond())
    .bind(id)
    .execute(&mut *transaction)
    .await?;
    let change: Option<(i32, i64)> = sqlx::query_as(
        "
        select partition_count_before, partition_count_changed_at
        from streams where id = ? and partition_count_changed_at is not null
        ",
    )
    .bind(id)
    .fetch_optional(&mut *transaction)
    .await?;
    transaction.commit().await?;
    let since = |at: i64| u64::try_from(now.as_microsecond() - at).unwrap_or_default();
    Ok(NotedCount {
        replaced,
        change: change.map(|(before, at)| CountChange {
            before,
            age: Duration::from_micros(since(at)),
        }),
    })
}

/// The number of a stream; none when nothing was ever kept of it.
pub(super) async fn find_stream(
    connection: &mut SqliteConnection,
    stream: &Stream,
) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar("select id from streams where destination = ? and source = ? and model = ?")
        .bind(&*stream.destination)
        .bind(&*stream.source)
        .bind(&*stream.model)
        .fetch_optional(connection)
        .await
}

/// The streams whose keys a filter can mean.
pub(super) async fn find_streams(
    connection: &mut SqliteConnection,
    destination: Option<&str>,
    model: Option<&str>,
) -> Result<Vec<Stream>, sqlx::Error> {
    let rows: Vec<(String, String, String)> = sqlx::query_as(
        "select destination, source, model from streams
         where (?1 is null or destination = ?1) and (?2 is null or model = ?2)",
    )
    .bind(destination)
    .bind(model)
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(destination, source, model)| Stream {
            destination: destination.into(),
            source: source.into(),
            model: model.into(),
        })
        .collect())
}

/// Raises the version of a key. A key whose stored version is higher was acknowledged out of order: it becomes suspect.
pub(super) async fn raise_version(
    connection: &mut SqliteConnection,
    held: &Acknowledged<'_>,
    stream_id: i64,
) -> Result<(), sqlx::Error> {
    let entry = held.entry;
    let written = sqlx::query(
        "
        insert into ledger (
          stream_id, key_hash, key, version, content_hash, mapping_fingerprint, deleted, suspect, acknowledged_at,
          committed_at
        )
        values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        on conflict (stream_id, key_hash) do update set
          version = excluded.version,
          content_hash = excluded.content_hash,
          mapping_fingerprint = excluded.mapping_fingerprint,
          deleted = excluded.deleted,
          suspect = excluded.suspect,
          acknowledged_at = excluded.acknowledged_at,
          committed_at = excluded.committed_at
        where ledger.version < excluded.version
        ",
    )
    .bind(stream_id)
    .bind(&entry.key_hash.0[..])
    .bind(storable(&entry.key))
    .bind(signed(entry.version))
    .bind(&entry.content_hash.0[..])
    .bind(entry.mapping_fingerprint.cast_signed())
    .bind(entry.is_deleted)
    .bind(held.is_suspect)
    .bind(entry.acknowledged_at.as_microsecond())
    .bind(entry.committed_at.as_microsecond())
    .execute(&mut *connection)
    .await?;
    if written.rows_affected() > 0 {
        return Ok(());
    }
    sqlx::query(
        "
        update ledger set suspect = 1
        where stream_id = ?1 and key_hash = ?2 and (version > ?3 or version = ?3 and ?4)
        ",
    )
    .bind(stream_id)
    .bind(&entry.key_hash.0[..])
    .bind(signed(entry.version))
    .bind(held.is_suspect)
    .execute(connection)
    .await?;
    Ok(())
}

/// Raises a watermark, and never lowers it.
pub(super) async fn raise_watermark(
    connection: &mut SqliteConnection,
    mark: &Watermark,
    stream_id: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "
        insert into watermarks (stream_id, partition_number, version_max, offset_max) values (?, ?, ?, ?)
        on conflict (stream_id, partition_number) do update set
          version_max = max(watermarks.version_max, excluded.version_max),
          offset_max = nullif(max(coalesce(watermarks.offset_max, -1), coalesce(excluded.offset_max, -1)), -1)
        ",
    )
    .bind(stream_id)
    .bind(mark.partition)
    .bind(signed(mark.version_max))
    .bind(mark.offset_max)
    .execute(connection)
    .await?;
    Ok(())
}

/// Partition, highest acknowledged version and offset, for each partition of a stream.
pub(super) async fn find_watermarks(
    connection: &mut SqliteConnection,
    stream_id: i64,
) -> Result<Vec<(i32, u64, Option<i64>)>, Trouble> {
    let rows: Vec<(i32, i64, Option<i64>)> = sqlx::query_as(
        "select partition_number, version_max, offset_max from watermarks where stream_id = ? order by 1",
    )
    .bind(stream_id)
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|(partition, version, offset)| {
            let version = Table("watermarks").number("version_max", version)?;
            Ok((partition, version, offset))
        })
        .collect()
}

/// What is held of a key.
pub(super) async fn find_held(
    connection: &mut SqliteConnection,
    stream_id: i64,
    key_hash: KeyHash,
) -> Result<Option<Held>, Trouble> {
    let row: Option<(i64, Vec<u8>, bool, bool, i64)> = sqlx::query_as(
        "select version, content_hash, deleted, suspect, committed_at from ledger where stream_id = ? and key_hash = ?",
    )
    .bind(stream_id)
    .bind(&key_hash.0[..])
    .fetch_optional(connection)
    .await?;
    let Some((version, content_hash, is_deleted, is_suspect, committed_at)) = row else {
        return Ok(None);
    };
    Ok(Some(Held {
        version: TABLE.number("version", version)?,
        content_hash: ContentHash(TABLE.sixteen("content_hash", &content_hash)?),
        is_deleted,
        is_suspect,
        committed_at: TABLE.moment("committed_at", committed_at)?,
    }))
}

/// What was acknowledged of a key.
pub(super) async fn find_entry(
    connection: &mut SqliteConnection,
    stream_id: i64,
    stream: &Stream,
    key: &str,
) -> Result<Option<LedgerEntry>, Trouble> {
    let key_hash = KeyHash::of_key(stream, key);
    let row = sqlx::query(
        "
        select version, content_hash, mapping_fingerprint, deleted, suspect, acknowledged_at, committed_at
        from ledger where stream_id = ? and key_hash = ?
        ",
    )
    .bind(stream_id)
    .bind(&key_hash.0[..])
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let moment = |column| -> Result<_, Trouble> { Ok(TABLE.moment(column, row.try_get(column)?)?) };
    Ok(Some(LedgerEntry {
        stream: stream.clone().into(),
        key_hash,
        key: key.into(),
        version: TABLE.number("version", row.try_get("version")?)?,
        content_hash: ContentHash(TABLE.sixteen("content_hash", row.try_get("content_hash")?)?),
        mapping_fingerprint: row
            .try_get::<i64, _>("mapping_fingerprint")?
            .cast_unsigned(),
        is_deleted: row.try_get("deleted")?,
        is_suspect: row.try_get("suspect")?,
        acknowledged_at: moment("acknowledged_at")?,
        committed_at: moment("committed_at")?,
    }))
}

/// The highest version acknowledged under a key hash, whatever its stream.
pub(super) async fn find_version_of_any_stream(
    connection: &mut SqliteConnection,
    key_hash: KeyHash,
) -> Result<Option<u64>, Trouble> {
    let version: Option<i64> = sqlx::query_scalar(
        "select max(version) from streams join ledger on stream_id = streams.id and key_hash = ?",
    )
    .bind(&key_hash.0[..])
    .fetch_one(connection)
    .await?;
    Ok(version
        .map(|version| TABLE.number("version", version))
        .transpose()?)
}
