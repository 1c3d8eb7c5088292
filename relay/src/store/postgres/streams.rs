//! Streams and their small numbers.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use relay_core::names::Stream;
use relay_core::rows::{Batch, CountChange};
use sqlx::PgConnection;

use crate::store::reduce;
use crate::store::undelivered::NotedCount;

/// Numbers already known to this replica; they never change, but a failover may lose one. So they are forgotten with each
/// connection that is made, and when a row is refused.
#[derive(Debug, Default)]
pub(super) struct Streams(Mutex<HashMap<Stream, i32>>);

impl Streams {
    fn known(&self, stream: &Stream) -> Option<i32> {
        self.lock().get(stream).copied()
    }

    /// They are looked up again.
    pub(super) fn forget(&self) {
        self.lock().clear();
    }

    pub(super) fn are_known(&self) -> bool {
        !self.lock().is_empty()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Stream, i32>> {
        // A panic elsewhere cannot leave half an entry behind.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of a stream; none when nothing was ever kept of it.
    pub(super) async fn find(
        &self,
        connection: &mut PgConnection,
        stream: &Stream,
    ) -> Result<Option<i32>, sqlx::Error> {
        if let Some(id) = self.known(stream) {
            return Ok(Some(id));
        }
        let id = find_stream(connection, stream).await?;
        if let Some(id) = id {
            self.lock().insert(stream.clone(), id);
        }
        Ok(id)
    }

    /// The numbers of all streams of a batch; new ones get theirs. Outside the batch's transaction: a number that is
    /// known here must not vanish when that is rolled back.
    pub(super) async fn number<'b>(
        &self,
        connection: &mut PgConnection,
        batch: &'b Batch,
    ) -> Result<HashMap<&'b Stream, i32>, sqlx::Error> {
        let mut numbers = HashMap::new();
        for stream in reduce::streams(batch) {
            let id = match self.find(&mut *connection, stream).await? {
                Some(id) => id,
                None => self.insert(&mut *connection, stream).await?,
            };
            numbers.insert(stream, id);
        }
        Ok(numbers)
    }

    /// Notes how many partitions a stream's topic has.
    pub(super) async fn note_count(
        &self,
        connection: &mut PgConnection,
        stream: &Stream,
        count: i32,
    ) -> Result<NotedCount, sqlx::Error> {
        let id = match self.find(connection, stream).await? {
            Some(id) => id,
            None => self.insert(connection, stream).await?,
        };
        let replaced: Option<Option<i32>> = sqlx::query_scalar(
            "
            update streams set
              partition_count = $2,
              partition_count_before = coalesce(known.partition_count, streams.partition_count_before),
              partition_count_changed_at =
                case when known.partition_count is null then streams.partition_count_changed_at else now() end
            from (select partition_count from streams where id = $1 for update) as known
            where id = $1 and known.partition_count is distinct from $2
            returning known.partition_count
            ",
        )
        .bind(id)
        .bind(count)
        .fetch_optional(&mut *connection)
        .await?;
        let change: Option<(i32, f64)> = sqlx::query_as(
            "
            select partition_count_before, extract(epoch from now() - partition_count_changed_at)::float8
            from streams where id = $1 and partition_count_changed_at is not null
            ",
        )
        .bind(id)
        .fetch_optional(connection)
        .await?;
        Ok(NotedCount {
            replaced: replaced.flatten(),
            change: change.map(|(before, seconds)| CountChange {
                before,
                age: Duration::try_from_secs_f64(seconds).unwrap_or_default(),
            }),
        })
    }

    async fn insert(
        &self,
        connection: &mut PgConnection,
        stream: &Stream,
    ) -> Result<i32, sqlx::Error> {
        insert_stream(&mut *connection, stream).await?;
        self.find(connection, stream)
            .await?
            .ok_or(sqlx::Error::RowNotFound)
    }
}

async fn find_stream(
    connection: &mut PgConnection,
    stream: &Stream,
) -> Result<Option<i32>, sqlx::Error> {
    sqlx::query_scalar(
        "select id from streams where destination = $1 and source = $2 and model = $3",
    )
    .bind(&*stream.destination)
    .bind(&*stream.source)
    .bind(&*stream.model)
    .fetch_optional(connection)
    .await
}

async fn insert_stream(connection: &mut PgConnection, stream: &Stream) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into streams (destination, source, model) values ($1, $2, $3) on conflict do nothing",
    )
    .bind(&*stream.destination)
    .bind(&*stream.source)
    .bind(&*stream.model)
    .execute(connection)
    .await?;
    Ok(())
}

/// The streams whose keys a filter can mean.
pub(super) async fn find_streams(
    connection: &mut PgConnection,
    destination: Option<&str>,
    model: Option<&str>,
) -> Result<Vec<Stream>, sqlx::Error> {
    let rows: Vec<(String, String, String)> = sqlx::query_as(
        "select destination, source, model from streams
         where ($1::text is null or destination = $1) and ($2::text is null or model = $2)",
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
