//! Undelivered records: written with the log, loaded by the owner of their partition.

use std::sync::Arc;

use relay_core::exchange::ErrorClass;
use relay_core::names::{Coordinates, DeliveryId, KeyHash, Partition};
use relay_core::rows::{HomePartition, ParkedEntry, ParkedRow, RecordName, Subject};
use relay_core::time::Timestamp;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::moment::Moment;
use crate::store::lease::Trouble;
use crate::store::text::storable;
use crate::store::undelivered::Counts;
use crate::store::words::{RecordColumns, Table, counted, due, read_elsewhere, signed};

pub(super) const TABLE: Table = Table("parked");

/// Everything but the bytes of the record.
pub(super) const COLUMNS: &str = "id, key_hash, destination, source, model, key, version, operation, state, reason, \
     attempts, charged, committed_at, next_attempt_at, first_failed_at, last_failed_at, last_status, error_class, error, topic, \
     coalesce(read_partition, partition_number) as partition_number, offset_number, partition_number as home_partition, \
     partition_count";

/// Deliveries as two columns.
pub(super) fn columns_of(ids: &[DeliveryId]) -> (Vec<Uuid>, Vec<i64>) {
    ids.iter()
        .map(|id| (Uuid::from_bytes(id.key_hash.0), signed(id.version)))
        .unzip()
}

/// Forgets deliveries that have ended.
pub(super) async fn delete_ended(
    connection: &mut PgConnection,
    ids: &[DeliveryId],
) -> Result<(), sqlx::Error> {
    if ids.is_empty() {
        return Ok(());
    }
    let (key_hashes, versions) = columns_of(ids);
    sqlx::query(
        "
        delete from parked
        using unnest($1::uuid[], $2::bigint[]) as ended (key_hash, version)
        where parked.key_hash = ended.key_hash and parked.version = ended.version
        ",
    )
    .bind(&key_hashes)
    .bind(&versions)
    .execute(connection)
    .await?;
    Ok(())
}

/// Keeps undelivered records: new ones, and what is new about old ones.
pub(super) async fn upsert(
    connection: &mut PgConnection,
    rows: &[&ParkedRow],
) -> Result<(), sqlx::Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let ids: Vec<DeliveryId> = rows.iter().map(|row| row.subject.id).collect();
    let (key_hashes, versions) = columns_of(&ids);
    let name = |part: fn(&RecordName) -> &str| -> Vec<_> {
        rows.iter()
            .map(|row| {
                row.subject
                    .record
                    .as_ref()
                    .map(|record| storable(part(record)))
            })
            .collect()
    };
    let moments = |part: fn(&ParkedRow) -> Timestamp| -> Vec<Moment> {
        rows.iter().map(|row| Moment(part(row))).collect()
    };
    let numbers =
        |part: fn(&ParkedRow) -> i32| -> Vec<i32> { rows.iter().map(|row| part(row)).collect() };
    let texts = |part: fn(&ParkedRow) -> &str| -> Vec<_> {
        rows.iter().map(|row| storable(part(row))).collect()
    };
    let records: Vec<Option<&[u8]>> = rows.iter().map(|row| row.record.as_deref()).collect();
    let reasons: Vec<Option<&str>> = rows.iter().map(|row| due(&row.state).0).collect();
    let due_at: Vec<Option<Moment>> = rows
        .iter()
        .map(|row| due(&row.state).1.map(Moment))
        .collect();
    let statuses: Vec<Option<i16>> = rows
        .iter()
        .map(|row| row.last_status.map(u16::cast_signed))
        .collect();
    let classes: Vec<Option<&str>> = rows
        .iter()
        .map(|row| row.error_class.map(ErrorClass::as_str))
        .collect();
    let committed_at: Vec<Option<Moment>> = rows
        .iter()
        .map(|row| row.committed_at.map(Moment))
        .collect();
    let offsets: Vec<i64> = rows.iter().map(|row| row.coordinates.offset).collect();
    let read_from: Vec<Option<i32>> = rows.iter().map(|row| read_elsewhere(row)).collect();
    let counts: Vec<Option<i32>> = rows.iter().map(|row| row.home.of).collect();
    sqlx::query(UPSERT)
        .bind(&key_hashes)
        .bind(texts(|row| &row.subject.destination))
        .bind(name(|record| &record.stream.source))
        .bind(name(|record| &record.stream.model))
        .bind(name(|record| &record.key))
        .bind(&versions)
        .bind(name(|record| record.operation.as_str()))
        .bind(&records)
        .bind(texts(|row| row.state.as_str()))
        .bind(&reasons)
        .bind(numbers(|row| counted(row.attempts)))
        .bind(numbers(|row| counted(row.charged)))
        .bind(&due_at)
        .bind(moments(|row| row.first_failed_at))
        .bind(moments(|row| row.last_failed_at))
        .bind(&statuses)
        .bind(&classes)
        .bind(texts(|row| &row.error))
        .bind(texts(|row| &row.coordinates.topic))
        .bind(numbers(|row| row.home.number))
        .bind(&offsets)
        .bind(&committed_at)
        .bind(&read_from)
        .bind(&counts)
        .execute(connection)
        .await?;
    Ok(())
}

const UPSERT: &str = "
  insert into parked (
    key_hash, destination, source, model, key, version, operation, record, state, reason, attempts, charged,
    next_attempt_at, first_failed_at, last_failed_at, last_status, error_class, error, topic, partition_number,
    offset_number, committed_at, read_partition, partition_count
  )
  select * from unnest(
    $1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::text[], $8::bytea[], $9::text[],
    $10::text[], $11::int[], $12::int[], $13::timestamptz[], $14::timestamptz[], $15::timestamptz[], $16::smallint[],
    $17::text[], $18::text[], $19::text[], $20::int[], $21::bigint[], $22::timestamptz[], $23::int[], $24::int[]
  )
  on conflict (key_hash, version) do update set
    destination = excluded.destination,
    source = excluded.source,
    model = excluded.model,
    key = excluded.key,
    operation = excluded.operation,
    record = excluded.record,
    state = excluded.state,
    reason = excluded.reason,
    attempts = excluded.attempts,
    charged = excluded.charged,
    next_attempt_at = excluded.next_attempt_at,
    first_failed_at = excluded.first_failed_at,
    last_failed_at = excluded.last_failed_at,
    last_status = excluded.last_status,
    error_class = excluded.error_class,
    error = excluded.error,
    topic = excluded.topic,
    partition_number = excluded.partition_number,
    offset_number = excluded.offset_number,
    committed_at = excluded.committed_at,
    read_partition = excluded.read_partition,
    partition_count = excluded.partition_count
";

/// The undelivered records of a partition, in the order in which they came.
pub(super) async fn find_of_partition(
    connection: &mut PgConnection,
    destination: &str,
    partition: &Partition,
) -> Result<Vec<ParkedEntry>, Trouble> {
    let rows = sqlx::query(&format!(
        "select {COLUMNS} from parked where destination = $1 and topic = $2 and partition_number = $3 order by id"
    ))
    .bind(destination)
    .bind(&*partition.topic)
    .bind(partition.number)
    .fetch_all(connection)
    .await?;
    rows.iter().map(index_row).collect()
}

/// Records that a person asked to send again, in the order in which they came.
pub(super) async fn find_manual_retries(
    connection: &mut PgConnection,
    destination: &str,
    partitions: &[Partition],
    limit: u32,
) -> Result<Vec<ParkedEntry>, Trouble> {
    let topics: Vec<&str> = partitions
        .iter()
        .map(|partition| &*partition.topic)
        .collect();
    let numbers: Vec<i32> = partitions
        .iter()
        .map(|partition| partition.number)
        .collect();
    let rows = sqlx::query(&format!(
        "
        select {COLUMNS} from parked
        where reason = 'manual' and destination = $1
          and (topic, partition_number) in (select * from unnest($2::text[], $3::int[]))
        order by id limit $4
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

/// Records with their bytes.
pub(super) async fn find_with_records(
    connection: &mut PgConnection,
    ids: &[DeliveryId],
) -> Result<Vec<ParkedRow>, Trouble> {
    let (key_hashes, versions) = columns_of(ids);
    let rows = sqlx::query(&format!(
        "
        select {COLUMNS}, record from parked
        where (key_hash, version) in (select * from unnest($1::uuid[], $2::bigint[]))
        order by id
        "
    ))
    .bind(&key_hashes)
    .bind(&versions)
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| {
            parked_row(
                row,
                row.try_get::<Option<Vec<u8>>, _>("record")?.map(Arc::from),
            )
        })
        .collect()
}

/// How many there are in each state, none counted further than `at_most`.
pub(super) async fn count(
    connection: &mut PgConnection,
    destination: &str,
    at_most: u64,
) -> Result<Counts, Trouble> {
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "
        select states.state, counted.records
        from unnest(array['parked', 'exhausted', 'rejected', 'quarantined']) as states (state)
        cross join lateral (
          select count(*) as records
          from (select from parked where destination = $1 and state = states.state limit $2) as rows_of_state
        ) as counted
        ",
    )
    .bind(destination)
    .bind(signed(at_most))
    .fetch_all(connection)
    .await?;
    let mut counts = Counts::default();
    for (state, records) in rows {
        *counts.of_mut(TABLE, &state)? = TABLE.number("state", records)?;
    }
    Ok(counts)
}

/// The row without its record.
pub(super) fn parked_row(row: &PgRow, record: Option<Arc<[u8]>>) -> Result<ParkedRow, Trouble> {
    let index = index_row(row)?;
    let last_failed_at: Moment = row.try_get("last_failed_at")?;
    let error_class: Option<&str> = row.try_get("error_class")?;
    Ok(ParkedRow {
        subject: index.subject,
        record,
        state: index.state,
        attempts: index.attempts,
        charged: index.charged,
        committed_at: index.committed_at,
        first_failed_at: index.first_failed_at,
        last_failed_at: last_failed_at.0,
        last_status: row
            .try_get::<Option<i16>, _>("last_status")?
            .map(i16::cast_unsigned),
        error_class: error_class
            .map(|name| TABLE.error_class(name))
            .transpose()?,
        error: row.try_get("error")?,
        coordinates: index.coordinates,
        home: index.home,
    })
}

pub(super) fn index_row(row: &PgRow) -> Result<ParkedEntry, Trouble> {
    let due_at: Option<Moment> = row.try_get("next_attempt_at")?;
    let committed_at: Option<Moment> = row.try_get("committed_at")?;
    let first_failed_at: Moment = row.try_get("first_failed_at")?;
    Ok(ParkedEntry {
        subject: subject(TABLE, row)?,
        state: TABLE.parked_state(
            row.try_get("state")?,
            row.try_get("reason")?,
            due_at.map(|Moment(at)| at),
        )?,
        attempts: TABLE.number("attempts", row.try_get::<i32, _>("attempts")?.into())?,
        charged: TABLE.number("charged", row.try_get::<i32, _>("charged")?.into())?,
        committed_at: committed_at.map(|Moment(at)| at),
        first_failed_at: first_failed_at.0,
        coordinates: coordinates(row)?,
        home: HomePartition {
            number: row.try_get("home_partition")?,
            of: row.try_get("partition_count")?,
        },
    })
}

/// Whose row it is, in `parked` and `attempts` alike.
pub(super) fn subject(table: Table, row: &PgRow) -> Result<Subject, Trouble> {
    let destination: Arc<str> = row.try_get::<String, _>("destination")?.into();
    let key_hash: Uuid = row.try_get("key_hash")?;
    let names = RecordColumns {
        source: row.try_get("source")?,
        model: row.try_get("model")?,
        key: row.try_get("key")?,
        operation: row.try_get("operation")?,
    };
    Ok(Subject {
        id: DeliveryId {
            key_hash: KeyHash(key_hash.into_bytes()),
            version: table.number("version", row.try_get("version")?)?,
        },
        record: table.record_name(&destination, names)?,
        destination,
    })
}

/// Where in Kafka it was read.
pub(super) fn coordinates(row: &PgRow) -> Result<Coordinates, sqlx::Error> {
    Ok(Coordinates {
        topic: row.try_get::<String, _>("topic")?.into(),
        partition: row.try_get("partition_number")?,
        offset: row.try_get("offset_number")?,
    })
}
