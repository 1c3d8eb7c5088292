//! One bad row must not stop the log: a refused batch is halved until the row is found.
//!
//! Each try is a transaction with all that belongs to its rows, so a delivery's log, ledger and parked rows never part.

use std::collections::HashMap;

use async_trait::async_trait;
use relay_core::names::DeliveryId;
use relay_core::rows::{AttemptRow, Batch, ParkedChange};

use super::StoreError;

/// A store that writes a batch whole or not at all.
#[async_trait]
pub(super) trait Transact {
    async fn write(&self, batch: &Batch) -> Result<(), StoreError>;
}

/// Writes a batch; around a refused row when there is one.
///
/// # Errors
/// What the store said, when a bare row is refused too or the store is in trouble.
pub(super) async fn keep(store: &impl Transact, batch: &Batch) -> Result<(), StoreError> {
    let refusal = match store.write(batch).await {
        Err(error) if error.is_refusal() => error,
        answer => return answer,
    };
    let units = units_of(batch);
    let mut waiting = vec![units.as_slice()];
    let mut last_refusal = refusal;
    // The watermarks go first: raised early they only cost a look into the ledger, raised late they let stale records
    // pass. The first try is the whole batch, which is known to be refused.
    let mut is_whole = true;
    let mut watermarks_wait = true;
    while let Some(part) = waiting.pop() {
        let mut try_batch = gather(batch, part);
        if watermarks_wait {
            try_batch.watermarks.clone_from(&batch.watermarks);
        }
        if !std::mem::take(&mut is_whole) {
            match store.write(&try_batch).await {
                Ok(()) => {
                    watermarks_wait = false;
                    continue;
                }
                Err(error) if error.is_refusal() => last_refusal = error,
                Err(error) => return Err(error),
            }
        }
        if let [row] = part {
            write_bare(store, try_batch, row, &last_refusal).await?;
            watermarks_wait = false;
        } else {
            let (first, second) = part.split_at(part.len() / 2);
            waiting.extend([second, first].into_iter().filter(|half| !half.is_empty()));
        }
    }
    Ok(())
}

/// Writes the row that was refused once more, without all that may have been the reason.
async fn write_bare(
    store: &impl Transact,
    mut batch: Batch,
    row: &Unit,
    refusal: &StoreError,
) -> Result<(), StoreError> {
    for attempt in &mut batch.attempts {
        strip(attempt);
    }
    for change in &mut batch.parked {
        if let ParkedChange::Keep(parked) = change {
            parked.error.clear();
        }
    }
    store
        .write(&batch)
        .await
        .map_err(|error| named(error, row.id))?;
    tracing::warn!(
        delivery = %row.id, %refusal,
        "the store refused a row; it was kept without bodies, headers and error text"
    );
    Ok(())
}

fn strip(attempt: &mut AttemptRow) {
    attempt.error = None;
    if let Some(exchange) = &mut attempt.exchange {
        exchange.request_headers = None;
        exchange.request_body = None;
        exchange.response_headers = None;
        exchange.response_body = None;
    }
}

/// The refusal, with the delivery it is about.
fn named(error: StoreError, id: DeliveryId) -> StoreError {
    match error {
        StoreError::Refused { mut place, message } => {
            place.row = Some(id.to_string());
            StoreError::Refused { place, message }
        }
        other => other,
    }
}

/// What is written or refused together: a row of the log and what belongs to it, by positions in the batch.
#[derive(Debug)]
struct Unit {
    id: DeliveryId,
    attempt: Option<usize>,
    ledger: Vec<usize>,
    parked: Vec<usize>,
}

impl Unit {
    fn new(id: DeliveryId, attempt: Option<usize>) -> Self {
        Self {
            id,
            attempt,
            ledger: Vec::new(),
            parked: Vec::new(),
        }
    }
}

/// A unit for each row of the log; ledger and parked rows belong to the last one of their delivery.
fn units_of(batch: &Batch) -> Vec<Unit> {
    let mut units: Vec<Unit> = Vec::with_capacity(batch.attempts.len());
    let mut last: HashMap<DeliveryId, usize> = HashMap::with_capacity(batch.attempts.len());
    for (position, attempt) in batch.attempts.iter().enumerate() {
        last.insert(attempt.subject.id, units.len());
        units.push(Unit::new(attempt.subject.id, Some(position)));
    }
    let mut unit_of = |units: &mut Vec<Unit>, id: DeliveryId| {
        *last.entry(id).or_insert_with(|| {
            units.push(Unit::new(id, None));
            units.len() - 1
        })
    };
    for (position, entry) in batch.ledger.iter().enumerate() {
        let id = DeliveryId {
            key_hash: entry.key_hash,
            version: entry.version,
        };
        let unit = unit_of(&mut units, id);
        units[unit].ledger.push(position);
    }
    for (position, change) in batch.parked.iter().enumerate() {
        let unit = unit_of(&mut units, change.id());
        units[unit].parked.push(position);
    }
    units
}

/// The batch of these units, without watermarks.
fn gather(batch: &Batch, units: &[Unit]) -> Batch {
    let mut part = Batch::default();
    for unit in units {
        part.attempts
            .extend(unit.attempt.map(|at| batch.attempts[at].clone()));
        part.ledger
            .extend(unit.ledger.iter().map(|&at| batch.ledger[at].clone()));
        part.parked
            .extend(unit.parked.iter().map(|&at| batch.parked[at].clone()));
    }
    part
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use relay_core::names::{Coordinates, KeyHash};
    use relay_core::rows::{Cause, ExchangeRow, Outcome, Subject, Watermark};
    use relay_core::time::Timestamp;

    use super::super::error::Place;
    use super::*;

    /// Takes batches unless one of their rows has a refused error text, or a refused version.
    #[derive(Default)]
    struct Picky {
        written: Mutex<Vec<Batch>>,
        refused_version: Option<u64>,
        tries: Mutex<usize>,
    }

    #[async_trait]
    impl Transact for Picky {
        async fn write(&self, batch: &Batch) -> Result<(), StoreError> {
            *self.tries.lock().unwrap() += 1;
            let is_refused = |row: &AttemptRow| {
                row.error.as_deref() == Some("poison")
                    || Some(row.subject.id.version) == self.refused_version
            };
            if batch.attempts.iter().any(is_refused) {
                return Err(StoreError::Refused {
                    place: Place::default(),
                    message: "no".into(),
                });
            }
            self.written.lock().unwrap().push(batch.clone());
            Ok(())
        }
    }

    fn attempt(version: u64, error: &str) -> AttemptRow {
        AttemptRow {
            retention: Duration::from_secs(60),
            attempted_at: Timestamp::UNIX_EPOCH,
            subject: Subject {
                destination: "billing".into(),
                id: DeliveryId {
                    key_hash: KeyHash([7; 16]),
                    version,
                },
                record: None,
            },
            attempt: 1,
            cause: Cause::Live,
            outcome: Outcome::Retryable,
            status: Some(500),
            error_class: None,
            error: Some(error.into()),
            exchange: Some(ExchangeRow {
                response_body: Some(b"body".to_vec()),
                ..ExchangeRow::default()
            }),
            batch_id: None,
            coordinates: Coordinates {
                topic: "t".into(),
                partition: 0,
                offset: 0,
            },
        }
    }

    fn batch(poison_at: Option<u64>) -> Batch {
        let text = |version| {
            if Some(version) == poison_at {
                "poison"
            } else {
                "fine"
            }
        };
        Batch {
            attempts: (1..=9)
                .map(|version| attempt(version, text(version)))
                .collect(),
            parked: (1..=9)
                .map(|version| ParkedChange::Remove(attempt(version, "").subject.id))
                .collect(),
            watermarks: vec![Watermark {
                stream: Arc::new(relay_core::names::Stream {
                    destination: "billing".into(),
                    source: "monolith".into(),
                    model: "Vehicle".into(),
                }),
                partition: 0,
                offset_max: None,
                version_max: 9,
            }],
            ..Batch::default()
        }
    }

    fn kept(store: &Picky, batch: &Batch) -> Result<(), StoreError> {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(keep(store, batch))
    }

    #[test]
    fn a_good_batch_is_one_transaction() {
        let store = Picky::default();
        kept(&store, &batch(None)).unwrap();
        assert_eq!(*store.tries.lock().unwrap(), 1);
    }

    #[test]
    fn of_a_refused_batch_every_row_is_kept_once_and_only_the_bad_one_is_stripped() {
        for poison_at in 1..=9 {
            let store = Picky::default();
            kept(&store, &batch(Some(poison_at))).unwrap();
            let written = store.written.into_inner().unwrap();
            let rows: Vec<_> = written.iter().flat_map(|part| &part.attempts).collect();
            let versions: Vec<_> = rows.iter().map(|row| row.subject.id.version).collect();
            assert_eq!(versions, (1..=9).collect::<Vec<_>>());
            for row in rows {
                let is_bare =
                    row.error.is_none() && row.exchange.as_ref().unwrap().response_body.is_none();
                assert_eq!(is_bare, row.subject.id.version == poison_at);
            }
            for part in &written {
                let logged: Vec<_> = part.attempts.iter().map(|row| row.subject.id).collect();
                let removed: Vec<_> = part.parked.iter().map(ParkedChange::id).collect();
                assert_eq!(logged, removed);
            }
            assert_eq!(written[0].watermarks.len(), 1);
            assert!(written[1..].iter().all(|part| part.watermarks.is_empty()));
        }
    }

    #[test]
    fn a_row_that_is_refused_even_bare_is_named() {
        let store = Picky {
            refused_version: Some(3),
            ..Picky::default()
        };
        let error = kept(&store, &batch(None)).unwrap_err();
        assert!(error.is_refusal());
        assert!(error.to_string().contains("_3"), "{error}");
    }
}
