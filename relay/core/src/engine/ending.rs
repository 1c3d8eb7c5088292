//! How a record ends, and what becomes durable with it: a row of the log, always; the ledger or `parked`; its offset.

use std::sync::Arc;

use super::delivery::{Delivery, Failure, Owner, Place};
use super::parked::Row;
use super::{Engine, Step};
use crate::exchange::ErrorClass;
use crate::names::{Coordinates, DeliveryId, KeyHash, Operation, Stream};
use crate::record::Quarantine;
use crate::request::Unmappable;
use crate::rows::{
    AttemptRow, Cause, ExchangeRow, LedgerEntry, Outcome, ParkedEntry, ParkedRow, ParkedState,
    RecordName, Subject,
};
use crate::time::{Now, Timestamp};

/// A row of the log before it has a retention.
pub(super) struct LogLine {
    pub home: usize,
    pub subject: Subject,
    pub coordinates: Coordinates,
    pub attempted_at: Timestamp,
    pub attempt: u32,
    pub cause: Cause,
    pub outcome: Outcome,
    pub status: Option<u16>,
    pub error_class: Option<ErrorClass>,
    pub error: Option<String>,
    pub exchange: Option<ExchangeRow>,
    pub batch_id: Option<Arc<str>>,
}

/// The end of a record without a request, as the log is told of it.
struct Unsent {
    home: usize,
    subject: Subject,
    coordinates: Coordinates,
    cause: Cause,
    outcome: Outcome,
    /// Why none could be made of it, or was not to be.
    flaw: Option<(ErrorClass, String)>,
}

/// What the consumer acknowledged.
#[derive(Debug, Clone, Copy)]
pub(super) enum Acknowledged {
    /// What was sent.
    AsSent,
    /// A newer version, which the consumer named.
    Newer(u64),
}

impl Engine {
    pub(super) fn log(&mut self, line: LogLine, now: Now) {
        let retention = if line.outcome.is_success() {
            self.settings.retention.success
        } else {
            self.settings.retention.failure
        };
        let row = AttemptRow {
            retention,
            attempted_at: line.attempted_at,
            subject: line.subject,
            attempt: line.attempt,
            cause: line.cause,
            outcome: line.outcome,
            status: line.status,
            error_class: line.error_class,
            error: line.error,
            exchange: line.exchange,
            batch_id: line.batch_id,
            coordinates: line.coordinates,
        };
        self.journal.log(line.home, row, now.monotonic);
    }

    fn log_unsent(&mut self, unsent: Unsent, now: Now) {
        let (error_class, error) = unsent.flaw.unzip();
        let line = LogLine {
            home: unsent.home,
            subject: unsent.subject,
            coordinates: unsent.coordinates,
            attempted_at: now.wall,
            attempt: 0,
            cause: unsent.cause,
            outcome: unsent.outcome,
            status: None,
            error_class,
            error,
            exchange: None,
            batch_id: None,
        };
        self.log(line, now);
    }

    /// Ends a delivery that a newer version, or the ledger, made pointless.
    pub(super) fn supersede(&mut self, delivery: &Delivery, now: Now) {
        self.log_superseded(delivery, now);
        self.end(delivery, now);
    }

    /// Ends a delivery that is stale only because its source's versions went back.
    pub(super) fn supersede_as_gone_back(&mut self, delivery: &Delivery, why: String, now: Now) {
        let flaw = (ErrorClass::VersionsBack, why);
        self.log_superseded_because(delivery, Some(flaw), now);
        self.end(delivery, now);
    }

    pub(super) fn log_superseded(&mut self, delivery: &Delivery, now: Now) {
        self.log_superseded_because(delivery, None, now);
    }

    fn log_superseded_because(
        &mut self,
        delivery: &Delivery,
        flaw: Option<(ErrorClass, String)>,
        now: Now,
    ) {
        self.log_unsent(
            Unsent {
                home: delivery.place.home,
                subject: delivery.subject(),
                coordinates: self.homes[delivery.place.home].coordinates(delivery.place),
                cause: delivery.cause(),
                outcome: Outcome::Superseded,
                flaw,
            },
            now,
        );
    }

    /// Ends the undelivered records of a key that are older than what was acknowledged.
    pub(super) fn supersede_parked_below(&mut self, key: KeyHash, version: u64, now: Now) {
        let older: Vec<Row> = self
            .parked
            .of_key(key)
            .iter()
            .filter(|row| row.entry.subject.id.version < version)
            .cloned()
            .collect();
        for row in older {
            self.supersede_parked(row, now);
        }
    }

    /// Ends an undelivered record that stands in the store.
    pub(super) fn supersede_parked(&mut self, row: Row, now: Now) {
        let id = row.entry.subject.id;
        self.log_unsent(
            Unsent {
                home: row.home,
                subject: row.entry.subject,
                coordinates: row.entry.coordinates,
                cause: Cause::Retry,
                outcome: Outcome::Superseded,
                flaw: None,
            },
            now,
        );
        self.parked.remove(id);
        self.journal.remove(row.home, id, now.monotonic);
    }

    /// Enters an acknowledgement into the ledger and ends the delivery.
    pub(super) fn acknowledge(&mut self, delivery: &Delivery, what: Acknowledged, now: Now) {
        let (version, is_suspect) = match what {
            Acknowledged::AsSent => (delivery.id.version, false),
            Acknowledged::Newer(version) => (version, true),
        };
        // What the consumer named was committed at any time before now.
        let committed_at = if version == delivery.id.version {
            delivery.record.committed_at
        } else {
            now.wall.max(delivery.record.committed_at)
        };
        let key = delivery.id.key_hash;
        let home = &mut self.homes[delivery.place.home];
        home.watermark = home.watermark.max(version);
        let entry = LedgerEntry {
            stream: delivery.stream.clone(),
            key_hash: key,
            key: delivery.record.key.clone(),
            version,
            content_hash: delivery.record.content_hash,
            mapping_fingerprint: delivery.record.mapping_fingerprint,
            is_deleted: delivery.record.operation == Operation::Delete,
            is_suspect,
            acknowledged_at: now.wall,
            committed_at,
        };
        let partition = home.partition.number;
        let offset = (delivery.owner == Owner::Kafka).then_some(delivery.place.offset);
        self.lanes
            .entry(key)
            .or_default()
            .acknowledge((&entry).into());
        self.journal.acknowledge(
            delivery.place.home,
            (partition, offset),
            entry,
            now.monotonic,
        );
        self.end(delivery, now);
        self.supersede_parked_below(key, version, now);
    }

    /// Puts a delivery into the store, undelivered.
    pub(super) fn keep(&mut self, delivery: &Delivery, state: ParkedState, now: Now) {
        let place = delivery.place;
        let subject = delivery.subject();
        let coordinates = self.homes[place.home].coordinates(place);
        let home = self.home_partition_of(delivery, now);
        let first_failed_at = delivery.first_failed_at.unwrap_or(now.wall);
        let (status, class, error, last_failed_at) = match &delivery.last_failure {
            Some(failure) => (
                failure.status,
                Some(failure.class),
                failure.error.clone(),
                failure.at,
            ),
            None => (
                None,
                None,
                "waits in the place of an older version".to_owned(),
                first_failed_at,
            ),
        };
        let row = ParkedRow {
            subject: subject.clone(),
            record: Some(delivery.record.raw().clone()),
            state,
            attempts: delivery.tally.attempts,
            charged: delivery.tally.charged,
            committed_at: Some(delivery.record.committed_at),
            first_failed_at,
            last_failed_at,
            last_status: status,
            error_class: class,
            error,
            coordinates: coordinates.clone(),
            home,
        };
        self.journal.keep(place.home, row, now.monotonic);
        let entry = ParkedEntry {
            subject,
            state,
            attempts: delivery.tally.attempts,
            charged: delivery.tally.charged,
            committed_at: Some(delivery.record.committed_at),
            first_failed_at,
            coordinates,
            home,
        };
        self.remember_unwritten(place.home, entry, now);
        self.end_offsets(delivery);
        self.forget(delivery);
    }

    /// A record that cannot be decoded: visible, never skipped, never blocking.
    pub(super) fn quarantine(
        &mut self,
        unread: &Unread<'_>,
        quarantine: Quarantine,
        step: &Step<'_>,
    ) {
        let now = step.now;
        let home = &self.homes[unread.place.home];
        let coordinates = home.coordinates(unread.place);
        let subject = unread.subject(&home.stream, &coordinates, &quarantine);
        self.log_unsent(
            Unsent {
                home: unread.place.home,
                subject: subject.clone(),
                coordinates: coordinates.clone(),
                cause: if unread.owner == Owner::Store {
                    Cause::Manual
                } else {
                    Cause::Live
                },
                outcome: Outcome::Quarantined,
                flaw: Some((quarantine.class, quarantine.error.clone())),
            },
            now,
        );
        let state = ParkedState::Quarantined;
        let home = self.home_partition_at(unread.place);
        let readable = quarantine.readable.as_ref();
        let committed_at = readable.and_then(|readable| readable.committed_at);
        let row = ParkedRow {
            subject: subject.clone(),
            record: unread.value.map(Into::into),
            state,
            attempts: 0,
            charged: 0,
            committed_at,
            first_failed_at: now.wall,
            last_failed_at: now.wall,
            last_status: None,
            error_class: Some(quarantine.class),
            error: quarantine.error,
            coordinates: coordinates.clone(),
            home,
        };
        self.journal.keep(unread.place.home, row, now.monotonic);
        let entry = ParkedEntry {
            subject,
            state,
            attempts: 0,
            charged: 0,
            committed_at,
            first_failed_at: now.wall,
            coordinates,
            home,
        };
        self.remember_unwritten(unread.place.home, entry, now);
        self.end_offset(unread.owner, unread.place);
    }

    /// A record of which no request can be made: visible like one that cannot be decoded, and its lane goes on.
    pub(super) fn put_aside(&mut self, mut delivery: Delivery, why: &Unmappable, now: Now) {
        let failure = Failure {
            at: now.wall,
            status: None,
            class: ErrorClass::Unmappable,
            error: why.to_string(),
        };
        self.log_unsent(
            Unsent {
                home: delivery.place.home,
                subject: delivery.subject(),
                coordinates: self.homes[delivery.place.home].coordinates(delivery.place),
                cause: delivery.cause(),
                outcome: Outcome::Quarantined,
                flaw: Some((failure.class, failure.error.clone())),
            },
            now,
        );
        delivery.first_failed_at.get_or_insert(now.wall);
        delivery.last_failure = Some(failure);
        self.keep(&delivery, ParkedState::Quarantined, now);
        self.drop_idle_lane(delivery.id.key_hash);
    }

    pub(super) fn end(&mut self, delivery: &Delivery, now: Now) {
        match delivery.owner {
            Owner::Kafka => {
                if !self.is_orphan(delivery) {
                    self.end_offsets(delivery);
                }
            }
            Owner::Store => {
                self.parked.remove(delivery.id);
                self.journal
                    .remove(delivery.place.home, delivery.id, now.monotonic);
            }
        }
        self.forget(delivery);
    }

    fn end_offsets(&mut self, delivery: &Delivery) {
        self.end_offset(delivery.owner, delivery.place);
        if let Some(older) = delivery.instead_of {
            self.journal.end(older);
        }
    }

    fn end_offset(&mut self, owner: Owner, place: Place) {
        if owner == Owner::Kafka {
            self.journal.end(place);
        }
    }
}

/// A record that could not be decoded.
pub(super) struct Unread<'a> {
    pub place: Place,
    pub owner: Owner,
    pub value: Option<&'a [u8]>,
    /// Whose row it is in the store, when it stands there already.
    pub known: Option<Subject>,
}

impl Unread<'_> {
    fn subject(
        &self,
        stream: &Arc<Stream>,
        coordinates: &Coordinates,
        quarantine: &Quarantine,
    ) -> Subject {
        if let Some(known) = &self.known {
            return known.clone();
        }
        let destination = stream.destination.clone();
        match &quarantine.readable {
            Some(readable) => Subject {
                id: DeliveryId {
                    key_hash: KeyHash::of_key(stream, &readable.key),
                    version: readable.version,
                },
                record: Some(RecordName {
                    stream: stream.clone(),
                    key: readable.key.clone(),
                    operation: readable.operation,
                }),
                destination,
            },
            None => Subject {
                id: DeliveryId {
                    key_hash: KeyHash::of_coordinates(&destination, coordinates),
                    version: 0,
                },
                record: None,
                destination,
            },
        }
    }
}
