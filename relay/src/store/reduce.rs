//! What a batch comes down to: one write for each key, partition and delivery, in one order for every replica.

use std::collections::{BTreeSet, HashMap, HashSet};

use relay_core::names::{DeliveryId, KeyHash, Stream};
use relay_core::rows::{Batch, LedgerEntry, Move, ParkedChange, ParkedRow, Watermark};

/// The streams that a batch speaks of, in order.
pub(super) fn streams(batch: &Batch) -> BTreeSet<&Stream> {
    let logged = batch
        .attempts
        .iter()
        .filter_map(|row| row.subject.record.as_ref().map(|record| &*record.stream));
    let acknowledged = batch.ledger.iter().map(|entry| &*entry.stream);
    let marked = batch.watermarks.iter().map(|mark| &*mark.stream);
    // Hashed first: thousands of rows name a handful of streams.
    let distinct: HashSet<&Stream> = logged.chain(acknowledged).chain(marked).collect();
    distinct.into_iter().collect()
}

/// The last word of a batch on a key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Acknowledged<'a> {
    pub entry: &'a LedgerEntry,
    /// The entry's own doubt, or an acknowledgement of something older that came after it.
    pub is_suspect: bool,
}

/// One entry for each key, ordered by key hash: the highest version, suspect when a lower one was acknowledged later.
///
/// Sorted so that two replicas lock rows in one order, and neighbours in the index are written together.
pub(super) fn ledger(entries: &[LedgerEntry]) -> Vec<Acknowledged<'_>> {
    let mut by_key: HashMap<KeyHash, Acknowledged<'_>> = HashMap::with_capacity(entries.len());
    for entry in entries {
        let next = Acknowledged {
            entry,
            is_suspect: entry.is_suspect,
        };
        by_key
            .entry(entry.key_hash)
            .and_modify(|held| match held.entry.version.cmp(&entry.version) {
                std::cmp::Ordering::Less => *held = next,
                std::cmp::Ordering::Equal => held.is_suspect |= next.is_suspect,
                std::cmp::Ordering::Greater => held.is_suspect = true,
            })
            .or_insert(next);
    }
    let mut acknowledged: Vec<_> = by_key.into_values().collect();
    acknowledged.sort_unstable_by_key(|held| held.entry.key_hash);
    acknowledged
}

/// The highest version for each partition of a stream, in order.
pub(super) fn watermarks(marks: &[Watermark]) -> Vec<&Watermark> {
    let mut sorted: Vec<&Watermark> = marks.iter().collect();
    sorted.sort_by(|a, b| {
        (&a.stream, a.partition, b.version_max).cmp(&(&b.stream, b.partition, a.version_max))
    });
    sorted.dedup_by(|next, kept| next.stream == kept.stream && next.partition == kept.partition);
    sorted
}

/// The undelivered records that stay, the deliveries that end, and those that belong to another partition; of several changes
/// to one the last counts.
#[derive(Debug, Default)]
pub(super) struct Parked<'a> {
    pub kept: Vec<&'a ParkedRow>,
    pub removed: Vec<DeliveryId>,
    pub moved: Vec<(DeliveryId, Move)>,
}

/// In the order of the last changes, which becomes the order in which people see them.
pub(super) fn parked(changes: &[ParkedChange]) -> Parked<'_> {
    let last: HashMap<DeliveryId, usize> = changes
        .iter()
        .enumerate()
        .map(|(position, change)| (change.id(), position))
        .collect();
    let mut parked = Parked::default();
    for (position, change) in changes.iter().enumerate() {
        if last[&change.id()] != position {
            continue;
        }
        match change {
            ParkedChange::Keep(row) => parked.kept.push(row),
            ParkedChange::Remove(id) => parked.removed.push(*id),
            ParkedChange::Move(id, to) => parked.moved.push((*id, *to)),
        }
    }
    parked
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use relay_core::names::{ContentHash, Stream};
    use relay_core::time::Timestamp;

    use super::*;

    fn stream() -> Arc<Stream> {
        Arc::new(Stream {
            destination: "billing".into(),
            source: "monolith".into(),
            model: "Vehicle".into(),
        })
    }

    fn entry(key: &str, version: u64) -> LedgerEntry {
        let stream = stream();
        LedgerEntry {
            key_hash: KeyHash::of_key(&stream, key),
            stream,
            key: key.into(),
            version,
            content_hash: ContentHash([0; 16]),
            mapping_fingerprint: 0,
            is_deleted: false,
            is_suspect: false,
            acknowledged_at: Timestamp::UNIX_EPOCH,
            committed_at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn of_several_acknowledgements_the_highest_version_stays() {
        let entries = [entry("1", 4), entry("2", 9), entry("1", 5)];
        let reduced = ledger(&entries);
        let mut versions: Vec<_> = reduced
            .iter()
            .map(|held| (&*held.entry.key, held.entry.version, held.is_suspect))
            .collect();
        versions.sort_unstable();
        assert_eq!(versions, [("1", 5, false), ("2", 9, false)]);
        assert!(reduced.is_sorted_by_key(|held| held.entry.key_hash));
    }

    #[test]
    fn an_older_acknowledgement_after_a_newer_one_makes_the_key_suspect() {
        let entries = [entry("1", 5), entry("1", 4)];
        let reduced = ledger(&entries);
        assert_eq!(reduced.len(), 1);
        assert_eq!(reduced[0].entry.version, 5);
        assert!(reduced[0].is_suspect);
    }

    #[test]
    fn a_newer_acknowledgement_takes_the_doubt_away() {
        let entries = [entry("1", 5), entry("1", 4), entry("1", 6)];
        let reduced = ledger(&entries);
        assert_eq!(
            (reduced[0].entry.version, reduced[0].is_suspect),
            (6, false)
        );
    }

    #[test]
    fn a_watermark_is_the_highest_of_its_partition() {
        let mark = |partition, version_max| Watermark {
            stream: stream(),
            partition,
            version_max,
            offset_max: None,
        };
        let marks = [mark(1, 5), mark(0, 7), mark(1, 9), mark(0, 3)];
        let reduced: Vec<_> = watermarks(&marks)
            .into_iter()
            .map(|mark| (mark.partition, mark.version_max))
            .collect();
        assert_eq!(reduced, [(0, 7), (1, 9)]);
    }
}
