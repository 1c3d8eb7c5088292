//! Streams and their small numbers.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use relay_core::names::Stream;
use relay_core::rows::Batch;
use sqlx::PgConnection;

use crate::store::reduce;

/// Numbers already known to this replica; they never change.
#[derive(Debug, Default)]
pub(super) struct Streams(Mutex<HashMap<Stream, i32>>);

impl Streams {
    fn known(&self, stream: &Stream) -> Option<i32> {
        self.lock().get(stream).copied()
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
