//! What the store knows of a partition, and of how many a topic has.

use std::sync::Arc;

use relay_core::engine::Event;
use relay_core::names::{Partition, Stream};
use relay_core::rows::PartitionState;
use tracing::warn;

use super::{until_it_works, wishes};
use crate::store::Store;

/// What the owner of a partition must know before its records come: a paused destination sends none of them.
pub(super) async fn load(store: &dyn Store, partition: Partition, stream: &Stream) -> Vec<Event> {
    let orders = until_it_works("ask what operators said of a destination", || {
        store.orders(&stream.destination)
    })
    .await;
    let loaded = until_it_works("load a partition", || {
        store.load_partition(stream, &partition)
    })
    .await;
    // A key may have moved when the partition count changed: the highest of all partitions is always safe.
    let watermark = loaded
        .watermarks
        .iter()
        .map(|(_, version)| *version)
        .max()
        .unwrap_or(0);
    let state = PartitionState {
        parked: loaded.parked,
        watermark,
        offset_max: loaded.offset_max,
    };
    let mut events = wishes::events_of(&orders);
    events.push(Event::Loaded { partition, state });
    events
}

/// Only the first replica that sees a change says so.
pub(super) async fn note(store: &dyn Store, topic: Arc<str>, stream: &Stream, count: i32) -> Event {
    let noted = until_it_works("note how many partitions a topic has", || {
        store.note_partition_count(stream, count)
    })
    .await;
    if let Some(before) = noted.replaced {
        warn!(
            destination = &*stream.destination,
            topic = &*topic,
            before,
            partitions = count,
            "the topic has another number of partitions: keys have moved, and what was published before may arrive after what is \
             newer; pause the destination and let it drain before partitions are added"
        );
    }
    let change = noted.change;
    Event::PartitionsNoted { topic, change }
}
