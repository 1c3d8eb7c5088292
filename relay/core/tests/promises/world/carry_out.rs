//! What an engine asks for: it is checked against the promises, and done.

use relay_core::engine::{Action, Event, RequestId};
use relay_core::exchange::HttpRequest;
use relay_core::names::{DeliveryId, Operation, Partition};
use relay_core::rows::{AttemptRow, Batch, Bounds, Outcome, ParkedRow};

use super::World;
use super::group::short;
use super::replica::{Asked, Flight, Replica, Rider};
use super::settings::{FLUSH_ROWS, TIMEOUT};
use super::store::is_final;
use super::topics::{Key, Topics};

/// Whose batch is written.
#[derive(Debug, Clone, Copy)]
pub(super) enum Writer {
    Alive(usize),
    /// A replica that did not hear of it the first time.
    Again,
    Dead,
}

/// Rows of a batch while the store is down: what is in memory when sending and fetching stop, and what is superseded.
const BATCH_ROWS_MAX: usize = 20 * FLUSH_ROWS;

impl World {
    pub(super) fn carry_out(&mut self, who: usize, action: Action) {
        match action {
            Action::Send { request, http } => self.send(who, request, http),
            Action::Commit { partition, offset } => {
                self.say(|| format!("replica {who} commits {offset} of {}", short(&partition)));
                self.group
                    .commit(who, &partition, offset, &self.topics, &self.store);
            }
            Action::Pause { partition } => self.set_paused(who, &partition, true),
            Action::Resume { partition } => self.set_paused(who, &partition, false),
            Action::Release { partition } => self.release(who, &partition),
            Action::Stopped => {
                self.say(|| format!("replica {who} has stopped, and is started again"));
                self.replace(who);
            }
            Action::Flush { ref rows, .. } => {
                let count = rows.attempts.len();
                assert!(
                    count <= BATCH_ROWS_MAX,
                    "MEMORY: a batch of {count} rows was gathered"
                );
                self.replicas[who].asked.push(Asked::Of(action));
            }
            Action::LoadPartition { .. }
            | Action::FindBounds { .. }
            | Action::ReadLedger { .. }
            | Action::ReadParked { .. } => {
                self.replicas[who].asked.push(Asked::Of(action));
            }
        }
    }

    fn send(&mut self, who: usize, request: RequestId, http: HttpRequest) {
        let cargo = Cargo::of(&http);
        let knobs = self.replicas[who].knobs;
        assert!(
            self.replicas[who].flights.len() < knobs.concurrency,
            "MEMORY: more than {} requests are in flight",
            knobs.concurrency
        );
        assert!(
            self.replicas[who].flights.len() < self.replicas[who].engine.concurrency_limit(),
            "NEIGHBOUR: more requests are in flight than the endpoint bears"
        );
        assert!(
            self.replicas[who].paused.is_none(),
            "NEIGHBOUR: a request leaves although people have paused the destination"
        );
        let went_back = self.replicas[who].engine.view(self.now).went_back;
        assert_eq!(
            went_back, None,
            "NEIGHBOUR: a request leaves although versions went back"
        );
        let records_max = knobs.batch.map_or(1, |batch| batch.records);
        assert!(
            cargo.records.len() <= records_max,
            "MEMORY: {} records share a request, more than {records_max}",
            cargo.records.len()
        );
        let mut riders: Vec<Rider> = vec![];
        for (id, key) in cargo.records {
            self.say(|| format!("replica {who} sends {key} v{} ({request:?})", id.version));
            assert!(
                riders.iter().all(|rider| rider.key != key),
                "ORDER: {key} is in a request twice"
            );
            riders.push(self.rider(who, id, key));
        }
        for rider in &riders {
            let company_max = self.company_max(who, rider);
            assert!(
                riders.len() <= company_max,
                "NEIGHBOUR: {} v{} is with {} others, where {company_max} may share a request",
                rider.key,
                rider.id.version,
                riders.len() - 1
            );
        }
        self.rate.send();
        let flight = Flight {
            riders,
            model: cargo.model,
            http,
            deadline: self.now + TIMEOUT,
        };
        self.replicas[who].flights.insert(request, flight);
    }

    /// How many may share a request with a record that took others down with it.
    fn company_max(&self, who: usize, rider: &Rider) -> usize {
        let divided = self.replicas[who]
            .divided
            .get(&(rider.id, rider.assignment));
        let was_charged_alone =
            |row: &ParkedRow| row.charged > 0 && !matches!(row.last_status, Some(200..=299));
        let kept = self
            .store
            .row(rider.id)
            .filter(|row| was_charged_alone(row));
        match kept {
            Some(_) if self.accounts.knows(rider.id, &rider.partition) => 1,
            _ => divided.copied().unwrap_or(usize::MAX),
        }
    }

    /// A record leaves.
    fn rider(&self, who: usize, id: DeliveryId, key: String) -> Rider {
        let keys = self.topics.keys();
        let known = keys.into_iter().find(|known| known.name == key).unwrap();
        let replica = &self.replicas[who];
        assert!(
            !replica.riders().any(|rider| rider.key == key),
            "ORDER: two requests of {key} are in flight from replica {who}"
        );
        if let Some(before) = Topics::was_at(&known) {
            return self.rider_of_moved(who, id, known, &before);
        }
        let partition = known.partition;
        let fetch = replica.assigned.get(&partition);
        let fetch = fetch
            .unwrap_or_else(|| panic!("ORDER: replica {who} sends {key} of a partition it lost"));
        assert!(
            !fetch.is_revoked && !replica.is_stopping,
            "ORDER: replica {who} sends {key} while it gives its partition up"
        );
        let floor = replica.floors.get(&key).copied().unwrap_or(0);
        assert!(
            id.version >= floor,
            "ORDER: {key} v{} is sent after v{floor} was acknowledged",
            id.version
        );
        assert!(
            self.now >= replica.hold_until,
            "NEIGHBOUR: {key} is sent although Retry-After asks for silence"
        );
        self.assert_no_rightful_flight(who, &key, &partition);
        self.accounts
            .assert_may_send(who, id, &partition, self.store.row(id));
        Rider {
            id,
            key,
            assignment: fetch.assignment,
            partition,
        }
    }

    /// A record of a key that has another partition than before leaves: from the one or the other.
    fn rider_of_moved(&self, who: usize, id: DeliveryId, key: Key, before: &Partition) -> Rider {
        let replica = &self.replicas[who];
        let may_send = |partition: &Partition| {
            let fetch = replica.assigned.get(partition);
            fetch.is_some_and(|fetch| !fetch.is_revoked) && !replica.is_stopping
        };
        assert!(
            may_send(before) || may_send(&key.partition),
            "ORDER: replica {who} sends {} of partitions it lost",
            key.name
        );
        Rider {
            id,
            key: key.name,
            partition: key.partition,
            assignment: 0,
        }
    }

    /// At most one request of a key is in flight, whichever replica sent it; those of a replica that was given up are
    /// beyond recall.
    fn assert_no_rightful_flight(&self, who: usize, key: &str, partition: &Partition) {
        if !self.group.is_owner(who, partition) {
            return;
        }
        let others = self
            .replicas
            .iter()
            .enumerate()
            .filter(|(other, replica)| *other != who && !replica.is_expelled);
        for (other, replica) in others {
            let is_rightful = |rider: &Rider| rider.key == key && replica.owns(rider);
            assert!(
                !replica.riders().any(is_rightful),
                "ORDER: two requests of {key} are in flight, from replicas {other} and {who}"
            );
        }
    }

    fn set_paused(&mut self, who: usize, partition: &Partition, is_paused: bool) {
        if let Some(fetch) = self.replicas[who].assigned.get_mut(partition) {
            fetch.is_paused = is_paused;
        }
    }

    fn release(&mut self, who: usize, partition: &Partition) {
        self.say(|| format!("replica {who} releases {}", short(partition)));
        let replica = &mut self.replicas[who];
        let in_flight = replica
            .riders()
            .find(|rider| rider.partition == *partition && replica.owns(rider));
        assert!(
            in_flight.is_none(),
            "ORDER: {} is released with a request in flight",
            short(partition)
        );
        for key in self
            .topics
            .keys()
            .into_iter()
            .filter(|key| key.partition == *partition)
        {
            if let Some(floor) = replica.floors.remove(&key.name) {
                assert!(
                    self.store.ledger_version(&key.name) >= floor,
                    "ORDER: {} is released before {} v{floor} is in the ledger",
                    short(partition),
                    key.name
                );
            }
        }
        replica.assigned.remove(partition);
        self.accounts.assert_drained(who, partition);
        self.group.take_back(who, partition);
    }

    /// A new process takes a replica's place.
    pub(super) fn replace(&mut self, who: usize) {
        let clock_error = self.replicas[who].clock_error;
        self.replicas[who] = Replica::new(&self.rules.knobs);
        self.replicas[who].clock_error = clock_error;
        self.accounts.forget_replica(who);
        self.watch.forget_replica(who);
    }

    pub(super) fn writer_of(&self, who: usize, batch: u64) -> Writer {
        if self.replicas[who].last_written == batch {
            Writer::Again
        } else {
            Writer::Alive(who)
        }
    }

    /// The store writes a batch.
    pub(super) fn write(&mut self, writer: Writer, batch: &Batch) {
        let (accounts, group, replicas) = (&mut self.accounts, &self.group, &mut self.replicas);
        self.store.write(batch, |before, row| match writer {
            Writer::Alive(who) => {
                // From now on its row says how it failed last.
                replicas[who]
                    .divided
                    .retain(|(id, _), _| *id != row.subject.id);
                if !group.is_owner(who, &row.partition()) {
                    accounts.lose_count_of(row.subject.id);
                }
                accounts.kept(who, before, row);
            }
            Writer::Again => {}
            Writer::Dead => accounts.lose_count_of(row.subject.id),
        });
        for row in &batch.attempts {
            self.assert_may_end(row);
        }
        if let Writer::Alive(who) = writer {
            let ended = batch.attempts.iter().filter(|row| is_final(row.outcome));
            for id in ended.map(|row| row.subject.id) {
                // What is read once more although it is undelivered already ends as superseded: the other goes on.
                if self.store.row(id).is_none() {
                    self.accounts.forget(who, id);
                }
            }
        }
    }

    /// A live record that is not sent is stale because of something that says no less of its row, or a person has been told.
    fn assert_may_end(&self, row: &AttemptRow) {
        let Some(name) = &row.subject.record else {
            return;
        };
        if row.outcome != Outcome::Superseded || name.operation == Operation::Snapshot {
            return;
        }
        let id = row.subject.id;
        let committed_at = self.topics.committed_at(id.version);
        let held = self.store.held(&name.key);
        let is_held = held.is_some_and(|held| held.version == id.version || held.is_suspect);
        let is_twice = self.topics.was_repeated(id) || self.store.row(id).is_some();
        assert!(
            is_held
                || is_twice
                || self.resumed_at >= committed_at
                || self.topics.is_overtaken(&name.key, id.version),
            "LOST: {} v{} is dropped as stale although it was committed later, and no person was asked",
            name.key,
            id.version
        );
    }

    /// The store does what a replica asked for. None where there is nothing to hear.
    pub(super) fn answer_of_store(&mut self, who: usize, asked: Asked) -> Option<Event> {
        match asked {
            Asked::ManualRetries(partitions) => {
                let entries = self.store.find_manual_retries(&partitions);
                (!entries.is_empty()).then_some(Event::ManualRetries { entries })
            }
            Asked::Moved(partitions) => self.store.take_moved(&partitions),
            Asked::Of(Action::Flush { batch, rows }) => {
                use super::store::Fate;
                let fate = self.store.next_batch.take();
                self.say(|| {
                    format!(
                        "the store gets batch {batch} of replica {who}: {}",
                        match fate {
                            None => "written",
                            Some(Fate::Refused) => "refused",
                            Some(Fate::WrittenUnheard) => "written, the answer is lost",
                        }
                    )
                });
                if fate != Some(Fate::Refused) {
                    self.write(self.writer_of(who, batch), &rows);
                    self.replicas[who].last_written = batch;
                }
                Some(match fate {
                    None => Event::Flushed { batch },
                    Some(Fate::Refused | Fate::WrittenUnheard) => Event::FlushRefused { batch },
                })
            }
            Asked::Of(Action::LoadPartition { partition, .. }) => {
                let state = self.store.load(&partition);
                self.say(|| {
                    format!(
                        "the store tells replica {who} of {}: {} undelivered",
                        short(&partition),
                        state.parked.len()
                    )
                });
                Some(Event::Loaded { state, partition })
            }
            Asked::Of(Action::FindBounds { partition }) => {
                let bounds = Bounds {
                    begin: self.topics.begin(&partition),
                    committed: self.group.committed_ever(&partition),
                };
                self.say(|| {
                    format!(
                        "Kafka tells replica {who} of {}: {bounds:?}",
                        short(&partition)
                    )
                });
                Some(Event::Bounds { partition, bounds })
            }
            Asked::Of(Action::ReadLedger {
                partition, keys, ..
            }) => Some(self.store.read_ledger(partition, keys)),
            Asked::Of(Action::ReadParked { ids }) => Some(self.store.read_parked(ids)),
            Asked::Of(other) => panic!("the store cannot serve {other:?}"),
        }
    }
}

/// The models of the records that these actions send.
pub(super) fn models_sent(actions: &[Action]) -> Vec<String> {
    let models = |action: &Action| match action {
        Action::Send { http, .. } => {
            let cargo = Cargo::of(http);
            vec![cargo.model; cargo.records.len()]
        }
        _ => vec![],
    };
    actions.iter().flat_map(models).collect()
}

/// What a request carries.
struct Cargo {
    model: String,
    records: Vec<(DeliveryId, String)>,
}

impl Cargo {
    fn of(http: &HttpRequest) -> Self {
        let body: serde_json::Value = serde_json::from_slice(&http.body).unwrap();
        let records = match http.batch_id {
            Some(_) => body["records"].as_array().unwrap().clone(),
            None => vec![body],
        };
        let text =
            |record: &serde_json::Value, name: &str| record[name].as_str().unwrap().to_owned();
        Self {
            model: text(&records[0], "model"),
            records: records
                .iter()
                .map(|record| (text(record, "id").parse().unwrap(), text(record, "key")))
                .collect(),
        }
    }
}
