//! What an engine asks for: it is checked against the promises, and done.

use relay_core::engine::{Action, Event, RequestId};
use relay_core::exchange::HttpRequest;
use relay_core::names::{DeliveryId, Partition};
use relay_core::rows::Batch;

use super::World;
use super::group::short;
use super::replica::{Asked, Flight, Replica};
use super::settings::{FLUSH_ROWS, TIMEOUT};
use super::store::is_final;
use super::topics::Topics;

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
            | Action::ReadLedger { .. }
            | Action::ReadParked { .. } => {
                self.replicas[who].asked.push(Asked::Of(action));
            }
        }
    }

    fn send(&mut self, who: usize, request: RequestId, http: HttpRequest) {
        let id: DeliveryId = header(&http, "webhook-id").parse().unwrap();
        let key = header(&http, "replicates-to-key").to_owned();
        let model = header(&http, "replicates-to-model").to_owned();
        let attempt = header(&http, "replicates-to-attempt").to_owned();
        let partition = Topics::keys()
            .into_iter()
            .find(|known| known.name == key)
            .unwrap()
            .partition;
        self.say(|| {
            format!(
                "replica {who} sends {key} v{} (attempt {attempt})",
                id.version
            )
        });
        let replica = &self.replicas[who];
        assert!(
            !replica.flights.values().any(|flight| flight.key == key),
            "ORDER: two requests of {key} are in flight from replica {who}"
        );
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
        assert!(
            replica.flights.len() < self.rules.knobs.concurrency,
            "MEMORY: more than {} requests are in flight",
            self.rules.knobs.concurrency
        );
        self.assert_no_rightful_flight(who, &key, &partition);
        self.accounts
            .assert_may_send(who, id, &partition, self.store.row(id));
        let flight = Flight {
            id,
            key,
            model,
            http,
            assignment: fetch.assignment,
            partition,
            deadline: self.now + TIMEOUT,
        };
        self.replicas[who].flights.insert(request, flight);
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
            let is_rightful = |flight: &Flight| flight.key == key && replica.owns(flight);
            assert!(
                !replica.flights.values().any(is_rightful),
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
            .flights
            .values()
            .find(|flight| flight.partition == *partition && replica.owns(flight));
        assert!(
            in_flight.is_none(),
            "ORDER: {} is released with a request in flight",
            short(partition)
        );
        for key in Topics::keys()
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
        let (accounts, group) = (&mut self.accounts, &self.group);
        self.store.write(batch, |before, row| match writer {
            Writer::Alive(who) => {
                if !group.is_owner(who, &row.partition()) {
                    accounts.lose_count_of(row.subject.id);
                }
                accounts.kept(who, before, row);
            }
            Writer::Again => {}
            Writer::Dead => accounts.lose_count_of(row.subject.id),
        });
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

    /// The store does what a replica asked for. None where there is nothing to hear.
    pub(super) fn answer_of_store(&mut self, who: usize, asked: Asked) -> Option<Event> {
        match asked {
            Asked::ManualRetries(partitions) => {
                let entries = self.store.find_manual_retries(&partitions);
                (!entries.is_empty()).then_some(Event::ManualRetries { entries })
            }
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
            Asked::Of(Action::ReadLedger {
                partition, keys, ..
            }) => Some(self.store.read_ledger(partition, keys)),
            Asked::Of(Action::ReadParked { ids }) => Some(self.store.read_parked(ids)),
            Asked::Of(other) => panic!("the store cannot serve {other:?}"),
        }
    }
}

/// The models of the requests among these actions.
pub(super) fn models_sent(actions: &[Action]) -> Vec<String> {
    let model = |action: &Action| match action {
        Action::Send { http, .. } => Some(header(http, "replicates-to-model").to_owned()),
        _ => None,
    };
    actions.iter().filter_map(model).collect()
}

fn header<'a>(http: &'a HttpRequest, name: &str) -> &'a str {
    &http
        .headers
        .iter()
        .find(|(named, _)| *named == name)
        .unwrap()
        .1
}
