//! The ledger and the watermarks.

use std::collections::HashMap;

use relay_core::names::{ContentHash, KeyHash, Stream};
use relay_core::rows::{Held, LedgerEntry, Watermark};
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::moment::Moment;
use crate::store::lease::Trouble;
use crate::store::reduce::Acknowledged;
use crate::store::text::storable;
use crate::store::words::{Table, signed};

const TABLE: Table = Table("ledger");

/// Keys looked up by one statement.
const LOOKUP: usize = 1_000;

/// The keys, versions and doubts of rows, as columns.
#[derive(Default)]
struct Columns {
    stream_ids: Vec<i32>,
    key_hashes: Vec<Uuid>,
    versions: Vec<i64>,
    suspect: Vec<bool>,
}

/// Raises the version of each key. A key whose stored version is higher was acknowledged out of order: it becomes
/// suspect.
pub(super) async fn raise_versions(
    connection: &mut PgConnection,
    acknowledged: &[Acknowledged<'_>],
    streams: &HashMap<&Stream, i32>,
) -> Result<(), sqlx::Error> {
    if acknowledged.is_empty() {
        return Ok(());
    }
    let mut rows: Vec<(i32, &Acknowledged<'_>)> = acknowledged
        .iter()
        .map(|held| (streams[&*held.entry.stream], held))
        .collect();
    // By primary key: the order in which every replica locks, and the order of the index.
    rows.sort_unstable_by_key(|(stream_id, held)| (*stream_id, held.entry.key_hash));
    let mut columns = Columns::default();
    for (stream_id, held) in &rows {
        columns.stream_ids.push(*stream_id);
        columns
            .key_hashes
            .push(Uuid::from_bytes(held.entry.key_hash.0));
        columns.versions.push(signed(held.entry.version));
        columns.suspect.push(held.is_suspect);
    }
    let entries: Vec<&LedgerEntry> = rows.iter().map(|(_, held)| held.entry).collect();
    if upsert(connection, &columns, &entries).await? < rows.len() as u64 {
        doubt_overtaken(connection, &columns).await?;
    }
    Ok(())
}

async fn upsert(
    connection: &mut PgConnection,
    columns: &Columns,
    entries: &[&LedgerEntry],
) -> Result<u64, sqlx::Error> {
    let keys: Vec<_> = entries.iter().map(|entry| storable(&entry.key)).collect();
    let hashes: Vec<&[u8]> = entries
        .iter()
        .map(|entry| &entry.content_hash.0[..])
        .collect();
    let fingerprints: Vec<i64> = entries
        .iter()
        .map(|entry| entry.mapping_fingerprint.cast_signed())
        .collect();
    let deleted: Vec<bool> = entries.iter().map(|entry| entry.is_deleted).collect();
    let acknowledged_at: Vec<_> = entries
        .iter()
        .map(|entry| Moment(entry.acknowledged_at))
        .collect();
    let committed_at: Vec<_> = entries
        .iter()
        .map(|entry| Moment(entry.committed_at))
        .collect();
    let written = sqlx::query(
        "
        insert into ledger (
          stream_id, key_hash, key, version, content_hash, mapping_fingerprint, deleted, suspect, acknowledged_at,
          committed_at
        )
        select * from unnest(
          $1::int[], $2::uuid[], $3::text[], $4::bigint[], $5::bytea[], $6::bigint[], $7::bool[], $8::bool[],
          $9::timestamptz[], $10::timestamptz[]
        )
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
    .bind(&columns.stream_ids)
    .bind(&columns.key_hashes)
    .bind(&keys)
    .bind(&columns.versions)
    .bind(&hashes)
    .bind(&fingerprints)
    .bind(&deleted)
    .bind(&columns.suspect)
    .bind(&acknowledged_at)
    .bind(&committed_at)
    .execute(connection)
    .await?;
    Ok(written.rows_affected())
}

/// Marks keys that hold a higher version than was acknowledged now; and those of the same version, where the
/// acknowledgement itself was in doubt.
async fn doubt_overtaken(
    connection: &mut PgConnection,
    columns: &Columns,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "
        update ledger set suspect = true
        from unnest($1::int[], $2::uuid[], $3::bigint[], $4::bool[])
          as acknowledged (stream_id, key_hash, version, suspect)
        where ledger.stream_id = acknowledged.stream_id
          and ledger.key_hash = acknowledged.key_hash
          and not ledger.suspect
          and (
            ledger.version > acknowledged.version
            or ledger.version = acknowledged.version and acknowledged.suspect
          )
        ",
    )
    .bind(&columns.stream_ids)
    .bind(&columns.key_hashes)
    .bind(&columns.versions)
    .bind(&columns.suspect)
    .execute(connection)
    .await?;
    Ok(())
}

/// Raises the watermarks, and never lowers one.
pub(super) async fn raise_watermarks(
    connection: &mut PgConnection,
    marks: &[&Watermark],
    streams: &HashMap<&Stream, i32>,
) -> Result<(), sqlx::Error> {
    if marks.is_empty() {
        return Ok(());
    }
    let mut rows: Vec<(i32, i32, i64, Option<i64>)> = marks
        .iter()
        .map(|mark| {
            (
                streams[&*mark.stream],
                mark.partition,
                signed(mark.version_max),
                mark.offset_max,
            )
        })
        .collect();
    rows.sort_unstable();
    let stream_ids: Vec<i32> = rows.iter().map(|row| row.0).collect();
    let partitions: Vec<i32> = rows.iter().map(|row| row.1).collect();
    let versions: Vec<i64> = rows.iter().map(|row| row.2).collect();
    let offsets: Vec<Option<i64>> = rows.iter().map(|row| row.3).collect();
    sqlx::query(
        "
        insert into watermarks (stream_id, partition_number, version_max, offset_max)
        select * from unnest($1::int[], $2::int[], $3::bigint[], $4::bigint[])
        on conflict (stream_id, partition_number) do update set
          version_max = greatest(watermarks.version_max, excluded.version_max),
          offset_max = greatest(watermarks.offset_max, excluded.offset_max)
        where watermarks.version_max < excluded.version_max
          or coalesce(watermarks.offset_max, -1) < excluded.offset_max
        ",
    )
    .bind(&stream_ids)
    .bind(&partitions)
    .bind(&versions)
    .bind(&offsets)
    .execute(connection)
    .await?;
    Ok(())
}

/// Partition, highest acknowledged version and offset, for each partition of a stream.
pub(super) async fn find_watermarks(
    connection: &mut PgConnection,
    stream_id: i32,
) -> Result<Vec<(i32, u64, Option<i64>)>, Trouble> {
    let rows: Vec<(i32, i64, Option<i64>)> = sqlx::query_as(
        "select partition_number, version_max, offset_max from watermarks where stream_id = $1 order by 1",
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

/// What is held of keys. A lateral join, whose plan stays a look-up for each key however many are asked for.
pub(super) async fn find_held(
    connection: &mut PgConnection,
    stream_id: i32,
    key_hashes: &[KeyHash],
) -> Result<Vec<(KeyHash, Held)>, Trouble> {
    let mut found = Vec::with_capacity(key_hashes.len());
    for slice in key_hashes.chunks(LOOKUP) {
        let wanted: Vec<Uuid> = slice.iter().map(|hash| Uuid::from_bytes(hash.0)).collect();
        let rows: Vec<(Uuid, i64, Vec<u8>, bool, bool, Moment)> = sqlx::query_as(
            "
            select wanted.key_hash, held.*
            from unnest($2::uuid[]) as wanted (key_hash)
            cross join lateral (
              select version, content_hash, deleted, suspect, committed_at
              from ledger where stream_id = $1 and key_hash = wanted.key_hash limit 1
            ) as held
            ",
        )
        .bind(stream_id)
        .bind(&wanted)
        .fetch_all(&mut *connection)
        .await?;
        for (hash, version, content_hash, is_deleted, is_suspect, committed_at) in rows {
            let held = Held {
                version: TABLE.number("version", version)?,
                content_hash: ContentHash(TABLE.sixteen("content_hash", &content_hash)?),
                is_deleted,
                is_suspect,
                committed_at: committed_at.0,
            };
            found.push((KeyHash(hash.into_bytes()), held));
        }
    }
    Ok(found)
}

/// What was acknowledged of a key.
pub(super) async fn find_entry(
    connection: &mut PgConnection,
    stream_id: i32,
    stream: &Stream,
    key: &str,
) -> Result<Option<LedgerEntry>, Trouble> {
    let key_hash = KeyHash::of_key(stream, key);
    let row = sqlx::query(
        "
        select version, content_hash, mapping_fingerprint, deleted, suspect, acknowledged_at, committed_at
        from ledger where stream_id = $1 and key_hash = $2
        ",
    )
    .bind(stream_id)
    .bind(Uuid::from_bytes(key_hash.0))
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let content_hash: Vec<u8> = row.try_get("content_hash")?;
    let (acknowledged_at, committed_at): (Moment, Moment) = (
        row.try_get("acknowledged_at")?,
        row.try_get("committed_at")?,
    );
    Ok(Some(LedgerEntry {
        stream: stream.clone().into(),
        key_hash,
        key: key.into(),
        version: TABLE.number("version", row.try_get("version")?)?,
        content_hash: ContentHash(TABLE.sixteen("content_hash", &content_hash)?),
        mapping_fingerprint: row
            .try_get::<i64, _>("mapping_fingerprint")?
            .cast_unsigned(),
        is_deleted: row.try_get("deleted")?,
        is_suspect: row.try_get("suspect")?,
        acknowledged_at: acknowledged_at.0,
        committed_at: committed_at.0,
    }))
}

/// The highest version acknowledged under a key hash, whatever its stream.
pub(super) async fn find_version_of_any_stream(
    connection: &mut PgConnection,
    key_hash: KeyHash,
) -> Result<Option<u64>, Trouble> {
    let version: Option<i64> = sqlx::query_scalar(
        "
        select max(held.version)
        from streams
        cross join lateral (
          select version from ledger where stream_id = streams.id and key_hash = $1 limit 1
        ) as held
        ",
    )
    .bind(Uuid::from_bytes(key_hash.0))
    .fetch_one(connection)
    .await?;
    Ok(version
        .map(|version| TABLE.number("version", version))
        .transpose()?)
}
