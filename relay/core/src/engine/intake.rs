//! A record is read, compared with what is known of its key, and takes its place in its lane.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::delivery::{Delivery, Owner, Place, Tally};
use super::ending::Unread;
use super::event::KafkaRecord;
use super::lane::{InFlight, Turn, Waiting};
use super::ownership::parked;
use super::parked::{Row, Wait};
use super::table::Phase;
use super::went_back::{Known, has_gone_back, overtaken_by};
use super::{Engine, Step};
use crate::exchange::ErrorClass;
use crate::names::{DeliveryId, KeyHash, Partition, Stream};
use crate::record::{Quarantine, Raw, Record};
use crate::rows::{Held, ParkedReason, ParkedRow, ParkedState};
use crate::time::Now;

impl Engine {
    pub(super) fn on_record(&mut self, record: KafkaRecord, step: &Step<'_>) {
        let partition = Partition {
            topic: record.coordinates.topic.clone(),
            number: record.coordinates.partition,
        };
        let Some(&index) = self.home_of.get(&partition) else {
            return;
        };
        let home = &mut self.homes[index];
        match &mut home.phase {
            Phase::Owned => {}
            Phase::Loading { early } => return early.push(record),
            // Still Kafka's: its next owner reads it.
            Phase::Away | Phase::Draining => return,
        }
        let offset = record.coordinates.offset;
        if !home.offsets.read(offset, record.timestamp) {
            return;
        }
        home.gaps.read(offset);
        let place = Place {
            home: index,
            epoch: home.epoch,
            partition: record.coordinates.partition,
            offset,
        };
        let raw = Raw {
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            schema_version: record.schema_version.as_deref(),
            traceparent: record.traceparent.as_deref(),
        };
        match Record::decode(&raw, &home.stream) {
            Ok(read) => {
                let mut delivery = self.delivery_of(read, place, Owner::Kafka);
                self.note_if_misplaced(&mut delivery);
                self.place(delivery, step.now);
            }
            Err(quarantine) => {
                let unread = Unread {
                    place,
                    owner: Owner::Kafka,
                    value: record.value.as_deref(),
                    known: None,
                };
                self.quarantine(&unread, quarantine, step);
            }
        }
    }

    /// Parked records came back from the store: each takes its place in its lane like a record that was read.
    pub(super) fn on_parked_read(
        &mut self,
        asked: &[DeliveryId],
        rows: Vec<ParkedRow>,
        step: &Step<'_>,
    ) {
        for route in &mut self.routes {
            route.is_loading_probe = false;
        }
        let is_gone = |id: &DeliveryId| !rows.iter().any(|row| row.subject.id == *id);
        for id in asked.iter().filter(|id| is_gone(id)) {
            self.parked.remove(*id);
        }
        for row in rows {
            let home = match self.parked.get(row.subject.id) {
                Some(known) if known.wait == Wait::InMemory => known.home,
                // Superseded or lost meanwhile.
                _ => continue,
            };
            if self.homes[home].is_owned() {
                self.take_from_store(home, row, step);
            }
        }
    }

    fn take_from_store(&mut self, home: usize, row: ParkedRow, step: &Step<'_>) {
        let place = Place {
            home,
            epoch: self.homes[home].epoch,
            partition: row.coordinates.partition,
            offset: row.coordinates.offset,
        };
        match decode_again(&row, &self.homes[home].stream) {
            Ok(read) => {
                let mut delivery = self.delivery_of(read, place, Owner::Store);
                delivery.tally = Tally {
                    attempts: row.attempts,
                    charged: row.charged,
                    ..Tally::default()
                };
                delivery.is_manual = matches!(
                    row.state,
                    ParkedState::Parked {
                        reason: ParkedReason::Manual,
                        ..
                    }
                );
                if has_failed_alone(&row, delivery.is_manual) {
                    delivery.company_max = 1;
                }
                delivery.first_failed_at = Some(row.first_failed_at);
                let lane = self.lanes.get(&delivery.id.key_hash);
                if lane.is_some_and(|lane| lane.has(&delivery)) {
                    return self.forget(&delivery);
                }
                self.place(delivery, step.now);
            }
            Err(quarantine) => {
                let unread = Unread {
                    place,
                    owner: Owner::Store,
                    value: row.record.as_deref(),
                    known: Some(row.subject),
                };
                self.quarantine(&unread, quarantine, step);
            }
        }
    }

    fn delivery_of(&mut self, record: Record, place: Place, owner: Owner) -> Delivery {
        self.buffered_bytes += record.memory_bytes();
        let stream = self.homes[place.home].stream.clone();
        Delivery {
            id: DeliveryId {
                key_hash: KeyHash::of_key(&stream, &record.key),
                version: record.version,
            },
            stream,
            record,
            place,
            owner,
            tally: Tally::default(),
            instead_of: None,
            company_max: usize::MAX,
            is_manual: false,
            is_misplaced: false,
            first_failed_at: None,
            last_failure: None,
        }
    }

    /// Gives a delivery its place among what is known of its key.
    pub(super) fn place(&mut self, mut delivery: Delivery, now: Now) {
        let DeliveryId {
            key_hash: key,
            version,
        } = delivery.id;
        let lane = self.lanes.entry(key).or_default();
        let acknowledged = lane.acknowledged.map(|held| held.version);
        let waiting = lane.waiting.as_ref();
        let waiting = waiting.map(|waiting| waiting.delivery.id.version);
        let in_flight = self.flight_of(key).map(|flight| flight.version);
        let newest = waiting.max(in_flight).max(acknowledged);
        let is_known = |row: &&Row| match delivery.owner {
            Owner::Kafka => row.entry.subject.id.version >= version,
            // Its own row does not count.
            Owner::Store => row.entry.subject.id.version > version && row.wait != Wait::ForAPerson,
        };
        if acknowledged < Some(version) && newest >= Some(version) && self.must_stay(&delivery) {
            return self.put_back(&delivery, now);
        }
        if newest >= Some(version) || self.parked.of_key(key).iter().any(|row| is_known(&row)) {
            let known = self.overtaken_in_memory(&delivery);
            self.end_as_stale(delivery, known, now);
            self.drop_idle_lane(key);
            return;
        }
        let older = self
            .lanes
            .get_mut(&key)
            .and_then(|lane| lane.waiting.take());
        if let Some(older) = older {
            if self.takes_place_in_store(&older.delivery, &delivery) {
                self.supersede(&older.delivery, now);
                return self.park_instead(&delivery, now.monotonic, now);
            }
            let turn = match older.turn {
                // A retry in place keeps its due time; what was found not to be stale frees what is newer, too.
                Turn::At(_) | Turn::Ready => older.turn,
                Turn::CheckingLedger => self.turn_of(&delivery, now),
            };
            let overtaken = Known::from(&delivery);
            if older.turn == Turn::CheckingLedger && has_gone_back(&older.delivery, &overtaken) {
                self.end_as_stale(*older.delivery, Some(overtaken), now);
            } else {
                self.supersede_by(&older.delivery, &mut delivery, now);
            }
            return self.wait_in_lane(delivery, turn);
        }
        if let Some(due) = self.take_parked_place(&delivery, now) {
            return self.park_instead(&delivery, due, now);
        }
        let turn = self.turn_of(&delivery, now);
        self.wait_in_lane(delivery, turn);
    }

    /// What of a key makes a delivery stale, as far as memory tells.
    fn overtaken_in_memory(&self, delivery: &Delivery) -> Option<Known> {
        let key = delivery.id.key_hash;
        let lane = self.lanes.get(&key);
        let acknowledged = lane.and_then(|lane| lane.acknowledged).map(Known::from);
        let waiting = lane
            .and_then(|lane| lane.waiting.as_ref())
            .map(|waiting| Known::from(&*waiting.delivery));
        let flight = self.flight_of(key).map(|flight| Known {
            version: flight.version,
            committed_at: flight.committed_at,
        });
        let parked = self.parked.of_key(key).iter().map(Known::from);
        let in_lane = [acknowledged, waiting, flight].into_iter().flatten();
        overtaken_by(delivery.id.version, in_lane.chain(parked))
    }

    /// What is on its way of a key, if something becomes of it. Not what was sent in an earlier assignment: when that fails it
    /// is forgotten, because the record is read again.
    fn flight_of(&self, key: KeyHash) -> Option<InFlight> {
        let flight = self.lanes.get(&key)?.in_flight?;
        (self.homes[flight.home].epoch == flight.epoch).then_some(flight)
    }

    /// Whether the ledger must be asked before this may be sent. Behind a request of its own key it learns enough.
    fn turn_of(&mut self, delivery: &Delivery, now: Now) -> Turn {
        let key = delivery.id.key_hash;
        let home = delivery.place.home;
        let flight = self.lanes.get(&key).and_then(|lane| lane.in_flight);
        let follows_own_flight = flight.is_some_and(|flight| flight.is_of(delivery.place));
        let is_asked_about =
            self.may_be_unchanged(delivery) || self.may_be_elsewhere(delivery, now);
        let home = &mut self.homes[home];
        let cannot_be_stale = delivery.id.version > home.watermark;
        if follows_own_flight || cannot_be_stale && !is_asked_about {
            return Turn::Ready;
        }
        home.lookups.waiting.push(key);
        Turn::CheckingLedger
    }

    pub(super) fn wait_in_lane(&mut self, delivery: Delivery, turn: Turn) {
        let key = delivery.id.key_hash;
        let route = self.homes[delivery.place.home].route;
        let lane = self.lanes.entry(key).or_default();
        lane.waiting = Some(Waiting {
            delivery: Box::new(delivery),
            turn,
        });
        match turn {
            Turn::Ready => self.routes[route].ready.push_back(key),
            Turn::At(due) => {
                self.waits.insert((due, key));
            }
            Turn::CheckingLedger => {}
        }
    }

    /// An older version that is parked makes room: the due time that the newer one takes over.
    fn take_parked_place(&mut self, delivery: &Delivery, now: Now) -> Option<Duration> {
        let waiting = |row: &&Row| {
            matches!(row.wait, Wait::Due(_) | Wait::Unwritten(_))
                && row.entry.subject.id.version < delivery.id.version
        };
        let row = self
            .parked
            .of_key(delivery.id.key_hash)
            .iter()
            .find(waiting)?
            .clone();
        let due = match row.wait {
            Wait::Due(due) | Wait::Unwritten(due) => Some(due),
            Wait::InMemory | Wait::ForAPerson => None,
        };
        self.supersede_parked(row, now);
        due
    }

    fn park_instead(&mut self, delivery: &Delivery, due: Duration, now: Now) {
        let key = delivery.id.key_hash;
        let wait = due.saturating_sub(now.monotonic);
        self.keep(delivery, parked(ParkedReason::Retry, now, wait), now);
        self.drop_idle_lane(key);
    }

    /// The ledger answered for some keys: what it holds already is superseded or skipped, the rest may be sent.
    pub(super) fn on_ledger_read(
        &mut self,
        partition: &Partition,
        asked: &[KeyHash],
        found: &[(KeyHash, Held)],
        step: &Step<'_>,
    ) {
        let Some(&home) = self.home_of.get(partition) else {
            return;
        };
        let home = &mut self.homes[home];
        // Another replica may have acknowledged more since an earlier assignment: its keys are asked for again.
        if home.lookups.asked_in.take() != Some(home.epoch) {
            return;
        }
        // What began to wait after the question was asked: more may have been acknowledged before it came.
        let asked_again: HashSet<_> = home.lookups.waiting.iter().copied().collect();
        let held: HashMap<_, _> = found.iter().copied().collect();
        for key in asked.iter().filter(|key| !asked_again.contains(*key)) {
            let Some(lane) = self.lanes.get_mut(key) else {
                continue;
            };
            let Some(waiting) = lane
                .waiting
                .take_if(|waiting| waiting.turn == Turn::CheckingLedger)
            else {
                continue;
            };
            let delivery = *waiting.delivery;
            let both = || held.get(key).copied().into_iter().chain(lane.acknowledged);
            let overtaken = overtaken_by(delivery.id.version, both().map(Known::from));
            let held = both().reduce(Held::or_newer);
            if overtaken.is_some() {
                self.end_as_stale(delivery, overtaken, step.now);
                self.drop_idle_lane(*key);
            } else if self.is_unchanged(&delivery, held, step.now) {
                self.skip(&delivery, step.now);
            } else {
                self.wait_in_lane(delivery, Turn::Ready);
            }
        }
    }
}

/// Whether a record would take a batch down with it. What failed as a part of an answer, record by record, would not.
fn has_failed_alone(row: &ParkedRow, is_manual: bool) -> bool {
    let was_its_own_fault = row.charged > 0 || is_manual;
    let was_named = matches!(row.last_status, Some(200..=299));
    was_its_own_fault && !was_named
}

/// Decodes a record of the store, which keeps the value alone: message key and headers are known to have been right
/// where the record could be read.
fn decode_again(row: &ParkedRow, stream: &Stream) -> Result<Record, Quarantine> {
    let Some(name) = &row.subject.record else {
        let class = row.error_class.unwrap_or(ErrorClass::Undecodable);
        if class == ErrorClass::OffsetGap {
            return Err(Quarantine {
                class,
                error: row.error.clone(),
                readable: None,
            });
        }
        return Err(Quarantine {
            class,
            error: format!(
                "{}; publish the row again, its message key and headers are not kept",
                row.error
            ),
            readable: None,
        });
    };
    let raw = Raw {
        key: Some(name.key.as_bytes()),
        value: row.record.as_deref(),
        schema_version: Some(b"1"),
        traceparent: None,
    };
    Record::decode(&raw, stream)
}
