//! The store on `SQLite`, for `dev` and tests: the same tables, one connection, expired rows deleted in slices.
mod attempts;
mod audits;
mod claims;
mod connection;
mod deliveries;
mod ledger;
mod log;
mod migrations;
mod moves;
mod parked;
mod pauses;
mod replicas;

use std::time::Duration;

use async_trait::async_trait;
use relay_core::names::{DeliveryId, KeyHash, Partition, Stream};
use relay_core::rows::{Batch, Held, LedgerEntry, ParkedEntry, ParkedRow};
use relay_core::time::Timestamp;
use sqlx::{Connection, SqliteConnection, SqlitePool};

use super::attempt::{Attempt, AttemptCursor, AttemptFilter};
use super::audit::Audit;
use super::bisect::{self, Transact};
use super::body::BodyEncoder;
use super::claim::Claim;
use super::delivery::{Delivery, DeliveryCursor, DeliveryFilter, Page, RetryAnswer, RetryRequest};
use super::lease::{Trouble, on_lease};
use super::migrations::{SQLITE, applied};
use super::pause::{Orders, PauseRequest};
use super::reduce;
use super::replica::{MappingRow, ReplicaRow};
use super::undelivered::{Counts, NotedCount, Owned, StoredPartition};
use super::upkeep::{Migration, Partitions, Upkeep};
use super::{Open, Store, StoreError};

/// A handle on a `SQLite` store.
pub(super) struct SqliteStore {
    open: Open,
    pool: SqlitePool,
}

impl SqliteStore {
    /// A handle that opens the file when it is first used.
    ///
    /// # Errors
    /// [`StoreError::Url`] when the URL is wrong.
    pub(super) fn open(open: &Open) -> Result<Self, StoreError> {
        Ok(Self {
            pool: connection::pool(&open.url)?,
            open: open.clone(),
        })
    }

    /// Writes a batch in one transaction.
    async fn write_whole(
        &self,
        connection: &mut SqliteConnection,
        batch: &Batch,
    ) -> Result<(), Trouble> {
        // Immediate: a transaction that begins by reading and then finds another writer cannot go on.
        let mut transaction = connection.begin_with("begin immediate").await?;
        let streams = ledger::number_streams(&mut transaction, batch).await?;
        let now = connection::find_now(&mut transaction).await?;
        let mut bodies = BodyEncoder::new(self.open.compress);
        for row in &batch.attempts {
            log::insert(&mut transaction, row, now, &self.open.replica, &mut bodies).await?;
        }
        for held in reduce::ledger(&batch.ledger) {
            let stream_id = streams[&*held.entry.stream];
            ledger::raise_version(&mut transaction, &held, stream_id).await?;
        }
        for mark in reduce::watermarks(&batch.watermarks) {
            ledger::raise_watermark(&mut transaction, mark, streams[&*mark.stream]).await?;
        }
        let parked = reduce::parked(&batch.parked);
        for id in parked.removed {
            parked::delete_ended(&mut transaction, id).await?;
        }
        for row in parked.kept {
            parked::upsert(&mut transaction, row).await?;
        }
        for (id, to) in parked.moved {
            moves::hand_on(&mut transaction, id, to).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Deletes what has expired, slice by slice, giving way to the log between them.
    async fn delete_expired(&self) -> Result<u64, StoreError> {
        let mut deleted = 0;
        loop {
            let slice: u64 = self.delete_slice().await?;
            deleted += slice;
            if slice < u64::from(log::SLICE) {
                return Ok(deleted);
            }
        }
    }

    async fn delete_slice(&self) -> Result<u64, StoreError> {
        on_lease!(self, "deleting expired rows", |connection| async {
            let now = connection::find_now(connection).await?;
            Ok(log::delete_expired(connection, now).await?)
        })
    }

    async fn delete_forgotten(&self) -> Result<(), StoreError> {
        on_lease!(self, "deleting expired answers", |connection| async {
            let now = connection::find_now(connection).await?;
            Ok(log::delete_forgotten(connection, now).await?)
        })
    }
}

#[async_trait]
impl Transact for SqliteStore {
    async fn write(&self, batch: &Batch) -> Result<(), StoreError> {
        on_lease!(self, "keeping a batch", |connection| self
            .write_whole(connection, batch))
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn keep(&self, batch: &Batch) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        bisect::keep(self, batch).await
    }

    async fn load_partition(
        &self,
        stream: &Stream,
        partition: &Partition,
    ) -> Result<StoredPartition, StoreError> {
        on_lease!(self, "loading a partition", |connection| async {
            let watermarks = match ledger::find_stream(connection, stream).await? {
                Some(id) => ledger::find_watermarks(connection, id).await?,
                None => Vec::new(),
            };
            let parked =
                parked::find_of_partition(connection, &stream.destination, partition).await?;
            Ok(StoredPartition::new(partition, parked, watermarks))
        })
    }

    async fn load_ledger(
        &self,
        stream: &Stream,
        key_hashes: &[KeyHash],
    ) -> Result<Vec<(KeyHash, Held)>, StoreError> {
        on_lease!(self, "reading the ledger", |connection| async {
            let mut found = Vec::with_capacity(key_hashes.len());
            if let Some(id) = ledger::find_stream(connection, stream).await? {
                for &key_hash in key_hashes {
                    let held = ledger::find_held(connection, id, key_hash).await?;
                    found.extend(held.map(|held| (key_hash, held)));
                }
            }
            Ok(found)
        })
    }

    async fn load_parked(&self, ids: &[DeliveryId]) -> Result<Vec<ParkedRow>, StoreError> {
        on_lease!(self, "loading parked records", |connection| async {
            let mut found = Vec::with_capacity(ids.len());
            for &id in ids {
                found.extend(parked::find_with_record(connection, id).await?);
            }
            Ok(found)
        })
    }

    async fn find_manual_retries(
        &self,
        destination: &str,
        partitions: &[Partition],
        limit: u32,
    ) -> Result<Vec<ParkedEntry>, StoreError> {
        on_lease!(self, "looking for manual retries", |connection| {
            parked::find_manual_retries(connection, destination, partitions, limit)
        })
    }

    async fn take_moved(
        &self,
        destination: &str,
        owned: &Owned<'_>,
        limit: u32,
    ) -> Result<Vec<ParkedEntry>, StoreError> {
        on_lease!(self, "looking for what was handed on", |connection| async {
            for end in owned.ends {
                moves::hand_on_abandoned(connection, destination, end).await?;
            }
            moves::take(connection, destination, owned.partitions, limit).await
        })
    }

    async fn note_partition_count(
        &self,
        stream: &Stream,
        count: i32,
    ) -> Result<NotedCount, StoreError> {
        on_lease!(self, "noting how many partitions there are", |connection| {
            ledger::note_count(connection, stream, count)
        })
    }

    async fn count_undelivered(
        &self,
        destination: &str,
        at_most: u64,
    ) -> Result<Counts, StoreError> {
        on_lease!(self, "counting undelivered records", |connection| {
            parked::count(connection, destination, at_most)
        })
    }

    async fn record_destination(
        &self,
        destination: &str,
        seen_at: Timestamp,
    ) -> Result<(), StoreError> {
        on_lease!(self, "noting a destination", |connection| {
            replicas::record_destination(connection, destination, seen_at)
        })
    }

    async fn record_replica(
        &self,
        rows: &[ReplicaRow],
        mappings: &[MappingRow],
    ) -> Result<(), StoreError> {
        on_lease!(self, "noting the state of this replica", |connection| {
            async {
                for row in rows {
                    replicas::record_replica(connection, row).await?;
                }
                for mapping in mappings {
                    replicas::record_mapping(connection, mapping).await?;
                }
                Ok(())
            }
        })
    }

    async fn migrations(&self) -> Result<Vec<Migration>, StoreError> {
        on_lease!(self, "reading migrations", |connection| migrations::find(
            connection
        ))
    }

    async fn migrate(&self) -> Result<Vec<String>, StoreError> {
        let before = self.migrations().await?;
        let mut lease = self.lease("migrating").await?;
        SQLITE
            .run_direct(&mut *lease)
            .await
            .map_err(StoreError::Migration)?;
        lease.give_back();
        Ok(applied(&before, &self.migrations().await?))
    }

    async fn ping(&self) -> Result<(), StoreError> {
        on_lease!(self, "asking whether it is there", |connection| async {
            Ok(connection.ping().await?)
        })
    }

    async fn partitions(&self) -> Result<Partitions, StoreError> {
        // One table takes every expiry.
        Ok(Partitions {
            ahead: self.open.partitions_ahead,
            next_is_missing: false,
        })
    }

    async fn maintain(&self) -> Result<Upkeep, StoreError> {
        self.delete_forgotten().await?;
        Ok(Upkeep {
            attached: 0,
            dropped: 0,
            rows_deleted: self.delete_expired().await?,
            partitions: self.partitions().await?,
        })
    }

    async fn deliveries(
        &self,
        filter: &DeliveryFilter,
        after: Option<DeliveryCursor>,
        limit: u32,
    ) -> Result<Page<Delivery, DeliveryCursor>, StoreError> {
        on_lease!(self, "listing undelivered records", |connection| {
            deliveries::find_page(connection, filter, after, limit)
        })
    }

    async fn delivery(&self, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
        on_lease!(self, "finding a delivery", |connection| deliveries::find(
            connection, id
        ))
    }

    async fn delivery_attempts(
        &self,
        id: DeliveryId,
        limit: u32,
    ) -> Result<Vec<Attempt>, StoreError> {
        on_lease!(self, "reading the attempts of a delivery", |connection| {
            attempts::find_of_delivery(connection, id, limit)
        })
    }

    async fn attempts(
        &self,
        filter: &AttemptFilter,
        after: Option<AttemptCursor>,
        limit: u32,
    ) -> Result<Page<Attempt, AttemptCursor>, StoreError> {
        on_lease!(self, "reading the log", |connection| attempts::find_page(
            connection, filter, after, limit
        ))
    }

    async fn ledger_entry(
        &self,
        stream: &Stream,
        key: &str,
    ) -> Result<Option<LedgerEntry>, StoreError> {
        on_lease!(self, "reading the ledger", |connection| async {
            match ledger::find_stream(connection, stream).await? {
                Some(id) => ledger::find_entry(connection, id, stream, key).await,
                None => Ok(None),
            }
        })
    }

    async fn replicas(&self, within: Duration) -> Result<Vec<ReplicaRow>, StoreError> {
        on_lease!(self, "reading what replicas say", |connection| {
            replicas::find_replicas(connection, within)
        })
    }

    async fn mappings(&self, destination: &str) -> Result<Vec<MappingRow>, StoreError> {
        on_lease!(self, "reading mappings", |connection| {
            replicas::find_mappings(connection, destination)
        })
    }

    async fn destinations(&self) -> Result<Vec<String>, StoreError> {
        on_lease!(self, "reading destinations", |connection| {
            replicas::find_destinations(connection)
        })
    }

    async fn set_pause(&self, request: &PauseRequest) -> Result<(), StoreError> {
        on_lease!(self, "pausing a destination", |connection| {
            pauses::set(connection, request)
        })
    }

    async fn orders(&self, destination: &str) -> Result<Orders, StoreError> {
        on_lease!(
            self,
            "asking what operators said of a destination",
            |connection| pauses::find(connection, destination)
        )
    }

    async fn retry(&self, request: &RetryRequest) -> Result<RetryAnswer, StoreError> {
        on_lease!(self, "asking for a retry", |connection| deliveries::retry(
            connection, request
        ))
    }

    async fn note(&self, audit: &Audit) -> Result<(), StoreError> {
        on_lease!(self, "noting who asked", |connection| audits::note(
            connection, audit
        ))
    }

    async fn claim_key(
        &self,
        key: &str,
        body_hash: &[u8],
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Claim, StoreError> {
        let times = (now, until);
        on_lease!(self, "claiming an idempotency key", |connection| {
            claims::claim(connection, key, body_hash, times)
        })
    }

    async fn keep_answer(
        &self,
        key: &str,
        claimed_until: Timestamp,
        response: &str,
        expires_at: Timestamp,
    ) -> Result<(), StoreError> {
        on_lease!(self, "keeping an answer", |connection| {
            claims::answer(connection, (key, claimed_until), response, expires_at)
        })
    }

    async fn give_up_key(&self, key: &str, claimed_until: Timestamp) -> Result<(), StoreError> {
        on_lease!(self, "giving up an idempotency key", |connection| {
            claims::give_up(connection, (key, claimed_until))
        })
    }
}
