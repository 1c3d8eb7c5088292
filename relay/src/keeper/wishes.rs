//! What people asked for, and what other replicas have handed to this one: looked for every second.

use std::collections::BTreeMap;

use relay_core::engine::Event;
use relay_core::names::{KeyHash, Partition, Stream};
use relay_core::rows::{Held, ParkedEntry};
use tracing::warn;

use crate::store::{Orders, Owned, Store, StoreError};

/// Manual retries taken up at once.
const MANUAL_RETRIES_MAX: u32 = 200;

/// What has moved and is found at once.
const MOVED_MAX: u32 = 1_000;

/// What operators said of a destination.
pub(super) fn events_of(orders: &Orders) -> Vec<Event> {
    let pause = orders.pause.as_ref();
    let words = pause.map(|pause| pause.to_string().into());
    let resumed = orders.resumed_at.map(|at| Event::Resumed { at });
    [Event::Paused { words }]
        .into_iter()
        .chain(resumed)
        .collect()
}

/// All of it, as events for the engine.
pub(super) async fn find(
    store: &dyn Store,
    name: &str,
    partitions: &[Partition],
    ends: &[Partition],
) -> Result<Vec<Event>, StoreError> {
    let mut events = events_of(&store.orders(name).await?);
    if !partitions.is_empty() {
        let owned = Owned { partitions, ends };
        let entries = store.take_moved(name, &owned, MOVED_MAX).await?;
        if !entries.is_empty() {
            // They are nobody else's from now on: whatever fails next, they are handed over.
            let held = held_of(store, &entries).await;
            events.push(Event::Moved { entries, held });
        }
        let entries = store
            .find_manual_retries(name, partitions, MANUAL_RETRIES_MAX)
            .await?;
        if !entries.is_empty() {
            events.push(Event::ManualRetries { entries });
        }
    }
    Ok(events)
}

/// What the ledger holds of the keys of these records.
async fn held_of(store: &dyn Store, entries: &[ParkedEntry]) -> Vec<(KeyHash, Held)> {
    let mut keys_of: BTreeMap<&Stream, Vec<KeyHash>> = BTreeMap::new();
    for entry in entries {
        if let Some(record) = &entry.subject.record {
            let keys = keys_of.entry(&record.stream).or_default();
            keys.push(entry.subject.id.key_hash);
        }
    }
    let mut held = vec![];
    for (stream, keys) in keys_of {
        match store.load_ledger(stream, &keys).await {
            Ok(found) => held.extend(found),
            Err(error) => warn!(%error, "cannot read the ledger of records that have moved"),
        }
    }
    held
}
