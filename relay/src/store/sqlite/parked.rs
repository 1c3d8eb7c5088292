//! Undelivered records: written with the log, loaded by the owner of their partition.

use std::sync::Arc;

use relay_core::exchange::ErrorClass;
use relay_core::names::{Coordinates, DeliveryId, Partition};
use relay_core::rows::{HomePartition, ParkedEntry, ParkedRow, Subject};
use relay_core::time::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};

use crate::store::lease::Trouble;
use crate::store::text::storable;
use crate::store::undelivered::Counts;
use crate::store::words::{RecordColumns, Table, due, read_elsewhere, signed};

pub(super) const TABLE: Table = Table("parked");

/// Everything but the bytes of the record.
pub(super) const COLUMNS: &str = "id, key_hash, destination, source, model, key, version, operation, state, reason, \
     attempts, charged, committed_at, next_attempt_at, first_failed_at, last_failed_at, last_status, error_class, error, topic, \
     coalesce(read_partition, partition_number) as partition_number, offset_number, partition_number as home_partition, \
     partition_count";

/// Forgets a delivery that has ended.
pub(super) async fn delete_ended(
    connection: &mut SqliteConnection,
    id: DeliveryId,
) -> Result<(), sqlx::Error> {
    sqlx::query("delete from parked where key_hash = ? and version = ?")
        .bind(&id.key_hash.0[..])
        .bind(signed(id.version))
        .execute(connection)
        .await?;
    Ok(())
}

/// Keeps an undelivered record: a new one, or what is new about an old one.
pub(super) async fn upsert(
    connection: &mut SqliteConnection,
    row: &ParkedRow,
) -> Result<(), sqlx::Error> {
    let record = row.subject.record.as_ref();
    let (reason, due_at) = due(&row.state);
    sqlx::query(UPSERT)
        .bind(&row.subject.id.key_hash.0[..])
        .bind(storable(&row.subject.destination))
        .bind(record.map(|record| storable(&record.stream.source)))
        .bind(record.map(|record| storable(&record.stream.model)))
        .bind(record.map(|record| storable(&record.key)))
        .bind(signed(row.subject.id.version))
        .bind(record.map(|record| record.operation.as_str()))
        .bind(row.record.as_deref())
        .bind(row.state.as_str())
        .bind(reason)
        .bind(row.attempts)
        .bind(row.charged)
        .bind(due_at.map(Timestamp::as_microsecond))
        .bind(row.first_failed_at.as_microsecond())
        .bind(row.last_failed_at.as_microsecond())
        .bind(row.last_status)
        .bind(row.error_class.map(ErrorClass::as_str))
        .bind(storable(&row.error))
        .bind(storable(&row.coordinates.topic))
        .bind(row.home.number)
        .bind(row.coordinates.offset)
        .bind(row.committed_at.map(Timestamp::as_microsecond))
        .bind(read_elsewhere(row))
        .bind(row.home.of)
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
  values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
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
    connection: &mut SqliteConnection,
    destination: &str,
    partition: &Partition,
) -> Result<Vec<ParkedEntry>, Trouble> {
    let rows = sqlx::query(&format!(
        "select {COLUMNS} from parked where destination = ? and topic = ? and partition_number = ? order by id"
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
    connection: &mut SqliteConnection,
    destination: &str,
    partitions: &[Partition],
    limit: u32,
) -> Result<Vec<ParkedEntry>, Trouble> {
    if partitions.is_empty() {
        return Ok(Vec::new());
    }
    let mut query = QueryBuilder::<Sqlite>::new("select ");
    query
        .push(COLUMNS)
        .push(" from parked where reason = 'manual' and destination = ")
        .push_bind(destination)
        .push(" and (topic, partition_number) in ");
    query.push_tuples(partitions, |mut tuple, partition| {
        tuple
            .push_bind(&*partition.topic)
            .push_bind(partition.number);
    });
    query.push(" order by id limit ").push_bind(limit);
    let rows = query.build().fetch_all(connection).await?;
    rows.iter().map(index_row).collect()
}

/// A record with its bytes; none when it is gone.
pub(super) async fn find_with_record(
    connection: &mut SqliteConnection,
    id: DeliveryId,
) -> Result<Option<ParkedRow>, Trouble> {
    let row = sqlx::query(&format!(
        "select {COLUMNS}, record from parked where key_hash = ? and version = ?"
    ))
    .bind(&id.key_hash.0[..])
    .bind(signed(id.version))
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let record: Option<Vec<u8>> = row.try_get("record")?;
    Ok(Some(parked_row(&row, record.map(Arc::from))?))
}

/// How many there are in each state, none counted further than `at_most`.
pub(super) async fn count(
    connection: &mut SqliteConnection,
    destination: &str,
    at_most: u64,
) -> Result<Counts, Trouble> {
    let mut counts = Counts::default();
    for state in ["parked", "exhausted", "rejected", "quarantined"] {
        let records: i64 = sqlx::query_scalar(
            "select count(*) from (select 1 from parked where destination = ? and state = ? limit ?)",
        )
        .bind(destination)
        .bind(state)
        .bind(signed(at_most))
        .fetch_one(&mut *connection)
        .await?;
        *counts.of_mut(TABLE, state)? = TABLE.number("state", records)?;
    }
    Ok(counts)
}

/// The row without its record.
pub(super) fn parked_row(row: &SqliteRow, record: Option<Arc<[u8]>>) -> Result<ParkedRow, Trouble> {
    let index = index_row(row)?;
    let error_class: Option<&str> = row.try_get("error_class")?;
    Ok(ParkedRow {
        subject: index.subject,
        record,
        state: index.state,
        attempts: index.attempts,
        charged: index.charged,
        committed_at: index.committed_at,
        first_failed_at: index.first_failed_at,
        last_failed_at: TABLE.moment("last_failed_at", row.try_get("last_failed_at")?)?,
        last_status: row.try_get("last_status")?,
        error_class: error_class
            .map(|name| TABLE.error_class(name))
            .transpose()?,
        error: row.try_get("error")?,
        coordinates: index.coordinates,
        home: index.home,
    })
}

pub(super) fn index_row(row: &SqliteRow) -> Result<ParkedEntry, Trouble> {
    let due_at: Option<i64> = row.try_get("next_attempt_at")?;
    let due_at = due_at
        .map(|at| TABLE.moment("next_attempt_at", at))
        .transpose()?;
    let committed_at: Option<i64> = row.try_get("committed_at")?;
    let committed_at = committed_at
        .map(|at| TABLE.moment("committed_at", at))
        .transpose()?;
    Ok(ParkedEntry {
        subject: subject(TABLE, row)?,
        state: TABLE.parked_state(row.try_get("state")?, row.try_get("reason")?, due_at)?,
        attempts: row.try_get("attempts")?,
        charged: row.try_get("charged")?,
        committed_at,
        first_failed_at: TABLE.moment("first_failed_at", row.try_get("first_failed_at")?)?,
        coordinates: coordinates(row)?,
        home: HomePartition {
            number: row.try_get("home_partition")?,
            of: row.try_get("partition_count")?,
        },
    })
}

/// Whose row it is, in `parked` and `attempts` alike.
pub(super) fn subject(table: Table, row: &SqliteRow) -> Result<Subject, Trouble> {
    let destination: Arc<str> = row.try_get::<String, _>("destination")?.into();
    let names = RecordColumns {
        source: row.try_get("source")?,
        model: row.try_get("model")?,
        key: row.try_get("key")?,
        operation: row.try_get("operation")?,
    };
    Ok(Subject {
        id: DeliveryId {
            key_hash: table.key_hash(row.try_get("key_hash")?)?,
            version: table.number("version", row.try_get("version")?)?,
        },
        record: table.record_name(&destination, names)?,
        destination,
    })
}

/// Where in Kafka it was read.
pub(super) fn coordinates(row: &SqliteRow) -> Result<Coordinates, sqlx::Error> {
    Ok(Coordinates {
        topic: row.try_get::<String, _>("topic")?.into(),
        partition: row.try_get("partition_number")?,
        offset: row.try_get("offset_number")?,
    })
}
