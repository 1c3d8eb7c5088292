//! Which offset of a partition may be committed: the contiguous prefix of what was read and has ended.

use std::collections::VecDeque;

use crate::time::Timestamp;

/// The offsets of one partition that were read and are not committed yet.
///
/// Offsets are those that Kafka delivered: transaction markers and aborted records leave gaps, which count as ended.
#[derive(Debug, Default)]
pub struct Offsets {
    open: VecDeque<Entry>,
    last_read: Option<i64>,
    committed: i64,
}

#[derive(Debug)]
struct Entry {
    offset: i64,
    timestamp: Timestamp,
    has_ended: bool,
}

impl Offsets {
    /// Notes a record that was read. False when it was read before.
    pub fn read(&mut self, offset: i64, timestamp: Timestamp) -> bool {
        match self.last_read {
            Some(last) if offset <= last => return false,
            Some(_) => {}
            None => self.committed = offset,
        }
        self.last_read = Some(offset);
        self.open.push_back(Entry {
            offset,
            timestamp,
            has_ended: false,
        });
        true
    }

    /// Passes over records that are gone, up to the next one, where none was read yet.
    pub fn skip(&mut self, from: i64, next: i64) {
        if self.last_read.is_none() {
            self.committed = from;
            self.last_read = Some(next - 1);
        }
    }

    /// Notes that a record has ended durably: in the log, or parked in the store.
    pub fn end(&mut self, offset: i64) {
        let position = self.open.partition_point(|entry| entry.offset < offset);
        if let Some(entry) = self.open.get_mut(position)
            && entry.offset == offset
        {
            entry.has_ended = true;
        }
        while self.open.front().is_some_and(|entry| entry.has_ended) {
            self.open.pop_front();
        }
    }

    /// The offset to commit (the next to read), when it has moved since the last call.
    pub fn take_commit(&mut self) -> Option<i64> {
        let next = self.next()?;
        (next != self.committed).then(|| {
            self.committed = next;
            next
        })
    }

    fn next(&self) -> Option<i64> {
        let after_last = self.last_read? + 1;
        Some(self.open.front().map_or(after_last, |first| first.offset))
    }

    /// Whether there may be something to commit.
    pub fn has_read(&self) -> bool {
        self.last_read.is_some()
    }

    /// Records read and not ended.
    pub fn open_count(&self) -> usize {
        self.open.len()
    }

    /// The Kafka timestamp of the oldest record that has not ended.
    pub fn oldest(&self) -> Option<Timestamp> {
        self.open.front().map(|entry| entry.timestamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(offsets: &[i64]) -> Offsets {
        let mut tracker = Offsets::default();
        for offset in offsets {
            assert!(tracker.read(*offset, Timestamp::UNIX_EPOCH));
        }
        tracker
    }

    #[test]
    fn nothing_is_committed_before_the_first_record_has_ended() {
        let mut offsets = read(&[5, 6, 7]);
        offsets.end(6);
        offsets.end(7);
        assert_eq!(offsets.take_commit(), None);
    }

    #[test]
    fn a_commit_is_the_end_of_the_contiguous_prefix() {
        let mut offsets = read(&[5, 6, 7]);
        offsets.end(5);
        offsets.end(7);
        assert_eq!(offsets.take_commit(), Some(6));
        assert_eq!(offsets.take_commit(), None);
        offsets.end(6);
        assert_eq!(offsets.take_commit(), Some(8));
    }

    #[test]
    fn gaps_left_by_transaction_markers_do_not_stall_the_prefix() {
        let mut offsets = read(&[5, 9, 12]);
        offsets.end(5);
        assert_eq!(offsets.take_commit(), Some(9));
        offsets.end(9);
        offsets.end(12);
        assert_eq!(offsets.take_commit(), Some(13));
    }

    #[test]
    fn a_record_read_twice_counts_once() {
        let mut offsets = read(&[5, 6]);
        assert!(!offsets.read(5, Timestamp::UNIX_EPOCH));
        assert!(!offsets.read(6, Timestamp::UNIX_EPOCH));
        assert_eq!(offsets.open_count(), 2);
    }

    #[test]
    fn ending_a_record_that_was_never_read_changes_nothing() {
        let mut offsets = read(&[5]);
        offsets.end(4);
        offsets.end(9);
        assert_eq!(offsets.take_commit(), None);
    }
}
