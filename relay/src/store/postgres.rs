//! The store on Postgres.
//!
//! The log thread writes a batch with [`log`] (COPY), [`ledger`] and [`parked`] in one transaction; [`ranges`] are the
//! partitions that take its rows, [`upkeep`] makes and drops them. The rest reads.
mod attempts;
mod audits;
mod claims;
mod connection;
mod copy;
mod deliveries;
mod ledger;
mod log;
mod migrations;
mod moment;
mod moves;
mod parked;
mod pauses;
mod ranges;
mod replicas;
mod streams;
mod unsure;
mod upkeep;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use relay_core::names::{DeliveryId, KeyHash, Partition, Stream};
use relay_core::rows::{AttemptRow, Batch, Held, LedgerEntry, ParkedEntry, ParkedRow};
use relay_core::time::Timestamp;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection, PgPool};

use self::moment::Moment;
use self::ranges::Ranges;
use self::streams::Streams;
use self::unsure::Unsure;
use super::attempt::{Attempt, AttemptCursor, AttemptFilter};
use super::audit::Audit;
use super::bisect::{self, Transact};
use super::body::BodyEncoder;
use super::claim::Claim;
use super::delivery::{Delivery, DeliveryCursor, DeliveryFilter, Page, RetryAnswer, RetryRequest};
use super::lease::{Trouble, on_lease, told};
use super::pause::{Orders, PauseRequest};
use super::reduce;
use super::replica::{MappingRow, ReplicaRow};
use super::undelivered::{Counts, NotedCount, Owned, StoredPartition};
use super::upkeep::{Migration, Partitions, Upkeep};
use super::{Open, Store, StoreError};

/// For how long the partitions that were read are taken to be there: a round of upkeep changes them rarely.
const RANGES_AGE: Duration = Duration::from_secs(10);

/// A handle on a Postgres store.
pub(super) struct PostgresStore {
    open: Open,
    options: PgConnectOptions,
    pool: PgPool,
    streams: Arc<Streams>,
    /// Whether the last connection that was made led to a server that takes writes.
    is_of_use: Arc<AtomicBool>,
    ranges: Mutex<Option<(Timestamp, Arc<Ranges>)>>,
    bodies: Mutex<BodyEncoder>,
    unsure: Unsure,
}

impl PostgresStore {
    /// A handle that connects when it is first used.
    ///
    /// # Errors
    /// [`StoreError::Url`] when the URL is wrong.
    pub(super) fn open(open: &Open) -> Result<Self, StoreError> {
        let options = connection::options(&open.url)?;
        let streams = Arc::<Streams>::default();
        let is_of_use = Arc::new(AtomicBool::new(true));
        let max = open.connections_max;
        Ok(Self {
            pool: connection::pool(&options, max, &streams, &is_of_use),
            options,
            streams,
            is_of_use,
            ranges: Mutex::new(None),
            bodies: Mutex::new(BodyEncoder::new(open.compress)),
            unsure: Unsure::default(),
            open: open.clone(),
        })
    }

    /// Writes a batch in one transaction. The log comes last: of a batch that is written again, the first try may still be
    /// at its commit, which the ledger's and the parked rows wait for.
    async fn write_whole(
        &self,
        connection: &mut PgConnection,
        batch: &Batch,
    ) -> Result<(), Trouble> {
        let streams = self.streams.number(connection, batch).await?;
        let mut transaction = connection.begin().await?;
        let acknowledged = reduce::ledger(&batch.ledger);
        ledger::raise_versions(&mut transaction, &acknowledged, &streams).await?;
        let marks = reduce::watermarks(&batch.watermarks);
        ledger::raise_watermarks(&mut transaction, &marks, &streams).await?;
        let parked = reduce::parked(&batch.parked);
        parked::delete_ended(&mut transaction, &parked.removed).await?;
        parked::upsert(&mut transaction, &parked.kept).await?;
        moves::hand_on(&mut transaction, &parked.moved).await?;
        let replica = &self.open.replica;
        let missing = self
            .unsure
            .missing(&mut transaction, &batch.attempts, replica);
        let missing = missing.await?;
        let attempts = missing.as_ref().unwrap_or(&batch.attempts);
        if !attempts.is_empty() {
            let encoded = self.encode(&mut transaction, attempts).await?;
            log::copy_rows(&mut transaction, &encoded).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    async fn encode(
        &self,
        connection: &mut PgConnection,
        attempts: &[AttemptRow],
    ) -> Result<Vec<u8>, Trouble> {
        let now = ranges::find_now(connection).await?;
        let ranges = self.ranges(connection, now).await?;
        let stamp = log::Stamp {
            now,
            ranges: &ranges,
            replica: &self.open.replica,
        };
        let mut bodies = self.bodies.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(log::encode(attempts, &stamp, &mut bodies)?)
    }

    async fn ranges(
        &self,
        connection: &mut PgConnection,
        now: Timestamp,
    ) -> Result<Arc<Ranges>, sqlx::Error> {
        if let Some((read_at, ranges)) = &*self.known_ranges()
            && now.duration_since(*read_at).unsigned_abs() < RANGES_AGE
        {
            return Ok(ranges.clone());
        }
        let ranges = Arc::new(ranges::find_ranges(connection).await?);
        *self.known_ranges() = Some((now, ranges.clone()));
        Ok(ranges)
    }

    fn known_ranges(&self) -> std::sync::MutexGuard<'_, Option<(Timestamp, Arc<Ranges>)>> {
        // Replaced whole: a panic elsewhere cannot leave half of it.
        self.ranges.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn write_on_lease(&self, batch: &Batch) -> Result<(), StoreError> {
        on_lease!(self, "keeping a batch", |connection| self
            .write_whole(connection, batch))
    }
}

#[async_trait]
impl Transact for PostgresStore {
    async fn write(&self, batch: &Batch) -> Result<(), StoreError> {
        let knew_something = self.known_ranges().is_some() || self.streams.are_known();
        match self.write_on_lease(batch).await {
            Err(error) if error.is_refusal() && knew_something => {
                // A partition may have gone since they were read, or a stream with the primary that knew it.
                *self.known_ranges() = None;
                self.streams.forget();
                self.write_on_lease(batch).await
            }
            answer => answer,
        }
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn keep(&self, batch: &Batch) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        let answer = bisect::keep(self, batch).await;
        match answer {
            Ok(()) => self.unsure.forget(batch),
            Err(_) => self.unsure.remember(batch),
        }
        answer
    }

    async fn load_partition(
        &self,
        stream: &Stream,
        partition: &Partition,
    ) -> Result<StoredPartition, StoreError> {
        on_lease!(self, "loading a partition", |connection| async {
            let watermarks = match self.streams.find(connection, stream).await? {
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
            match self.streams.find(connection, stream).await? {
                Some(id) => ledger::find_held(connection, id, key_hashes).await,
                None => Ok(Vec::new()),
            }
        })
    }

    async fn load_parked(&self, ids: &[DeliveryId]) -> Result<Vec<ParkedRow>, StoreError> {
        on_lease!(self, "loading parked records", |connection| {
            parked::find_with_records(connection, ids)
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
            moves::hand_on_abandoned(connection, destination, owned.ends).await?;
            moves::take(connection, destination, owned.partitions, limit).await
        })
    }

    async fn note_partition_count(
        &self,
        stream: &Stream,
        count: i32,
    ) -> Result<NotedCount, StoreError> {
        on_lease!(
            self,
            "noting how many partitions there are",
            |connection| async { Ok(self.streams.note_count(connection, stream, count).await?) }
        )
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
        migrations::apply(self.connect("migrating").await?).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        on_lease!(self, "asking whether it is there", |connection| async {
            Ok(connection.ping().await?)
        })
    }

    async fn partitions(&self) -> Result<Partitions, StoreError> {
        on_lease!(self, "looking at partitions", |connection| async {
            Ok(upkeep::measure(connection, &self.open).await?)
        })
    }

    async fn maintain(&self) -> Result<Upkeep, StoreError> {
        const DOING: &str = "making and dropping partitions";
        let connection = self.connect(DOING).await?;
        let round = upkeep::maintain(connection, &self.open);
        let changes = match tokio::time::timeout(upkeep::ROUND_LIMIT, round).await {
            Ok(answer) => answer.map_err(|error| told(DOING, error.into()))?,
            Err(_) => {
                return Err(StoreError::TimedOut {
                    doing: DOING,
                    limit: upkeep::ROUND_LIMIT,
                });
            }
        };
        Ok(Upkeep {
            attached: changes.attached,
            dropped: changes.dropped,
            rows_deleted: 0,
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
            attempts::find_of_delivery(connection, id, attempts::Bodies::Read, limit)
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
            match self.streams.find(connection, stream).await? {
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
        let times = (Moment(now), Moment(until));
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
            claims::answer(
                connection,
                (key, Moment(claimed_until)),
                response,
                Moment(expires_at),
            )
        })
    }

    async fn give_up_key(&self, key: &str, claimed_until: Timestamp) -> Result<(), StoreError> {
        on_lease!(self, "giving up an idempotency key", |connection| {
            claims::give_up(connection, (key, Moment(claimed_until)))
        })
    }
}
