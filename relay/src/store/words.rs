//! Words and numbers of the store turned back into types; one that this relay does not know is an error that names it.

use std::sync::Arc;

use relay_core::exchange::ErrorClass;
use relay_core::names::{KeyHash, Operation, Stream};
use relay_core::rows::{Cause, Outcome, ParkedReason, ParkedRow, ParkedState, RecordName};
use relay_core::time::Timestamp;

use super::StoreError;
use super::replica::ReplicaState;

/// The table that is being read: named in errors.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table(pub &'static str);

impl Table {
    pub(super) fn outcome(self, name: &str) -> Result<Outcome, StoreError> {
        Outcome::from_name(name).ok_or_else(|| self.unreadable("outcome", name))
    }

    pub(super) fn cause(self, name: &str) -> Result<Cause, StoreError> {
        [Cause::Live, Cause::Snapshot, Cause::Retry, Cause::Manual]
            .into_iter()
            .find(|cause| cause.as_str() == name)
            .ok_or_else(|| self.unreadable("cause", name))
    }

    pub(super) fn error_class(self, name: &str) -> Result<ErrorClass, StoreError> {
        ErrorClass::from_name(name).ok_or_else(|| self.unreadable("error_class", name))
    }

    pub(super) fn replica_state(self, name: &str) -> Result<ReplicaState, StoreError> {
        ReplicaState::from_name(name).ok_or_else(|| self.unreadable("state", name))
    }

    pub(super) fn parked_state(
        self,
        state: &str,
        reason: Option<&str>,
        next_attempt_at: Option<Timestamp>,
    ) -> Result<ParkedState, StoreError> {
        match (state, reason, next_attempt_at) {
            ("parked", Some(reason), Some(next_attempt_at)) => Ok(ParkedState::Parked {
                reason: ParkedReason::from_name(reason)
                    .ok_or_else(|| self.unreadable("reason", reason))?,
                next_attempt_at,
            }),
            ("exhausted", None, None) => Ok(ParkedState::Exhausted),
            ("rejected", None, None) => Ok(ParkedState::Rejected),
            ("quarantined", None, None) => Ok(ParkedState::Quarantined),
            _ => Err(self.unreadable("state", state)),
        }
    }

    /// The readable identity of a record; none where it was unreadable.
    pub(super) fn record_name(
        self,
        destination: &Arc<str>,
        names: RecordColumns,
    ) -> Result<Option<RecordName>, StoreError> {
        let RecordColumns {
            source: Some(source),
            model: Some(model),
            key: Some(key),
            operation: Some(operation),
        } = names
        else {
            return Ok(None);
        };
        Ok(Some(RecordName {
            stream: Arc::new(Stream {
                destination: destination.clone(),
                source: source.into(),
                model: model.into(),
            }),
            key: key.into(),
            operation: Operation::from_name(&operation)
                .ok_or_else(|| self.unreadable("operation", &operation))?,
        }))
    }

    pub(super) fn key_hash(self, bytes: &[u8]) -> Result<KeyHash, StoreError> {
        self.sixteen("key_hash", bytes).map(KeyHash)
    }

    pub(super) fn sixteen(
        self,
        column: &'static str,
        bytes: &[u8],
    ) -> Result<[u8; 16], StoreError> {
        bytes
            .try_into()
            .map_err(|_| self.unreadable(column, &format!("{} bytes", bytes.len())))
    }

    /// A count, status or version, none of which is ever negative.
    pub(super) fn number<T: TryFrom<i64>>(
        self,
        column: &'static str,
        value: i64,
    ) -> Result<T, StoreError> {
        T::try_from(value).map_err(|_| self.unreadable(column, &value.to_string()))
    }

    pub(super) fn moment(
        self,
        column: &'static str,
        microseconds: i64,
    ) -> Result<Timestamp, StoreError> {
        Timestamp::from_microsecond(microseconds)
            .map_err(|_| self.unreadable(column, &microseconds.to_string()))
    }

    pub(super) fn unreadable(self, column: &'static str, value: &str) -> StoreError {
        StoreError::Unreadable {
            table: self.0,
            column,
            value: value.to_owned(),
        }
    }
}

/// The columns that are null together.
#[derive(Debug, Default)]
pub(super) struct RecordColumns {
    pub source: Option<String>,
    pub model: Option<String>,
    pub key: Option<String>,
    pub operation: Option<String>,
}

/// A version as the store holds it. One beyond its range becomes one that its checks refuse.
pub(super) fn signed(version: u64) -> i64 {
    i64::try_from(version).unwrap_or(i64::MAX)
}

/// A count as the store holds it.
pub(super) fn counted(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// Where an undelivered record was read, if that is not the partition whose it is.
pub(super) fn read_elsewhere(row: &ParkedRow) -> Option<i32> {
    let read = row.coordinates.partition;
    (read != row.home.number).then_some(read)
}

/// Why a retry is due and when; neither for what waits for a person.
pub(super) fn due(state: &ParkedState) -> (Option<&'static str>, Option<Timestamp>) {
    match state {
        ParkedState::Parked {
            reason,
            next_attempt_at,
        } => (Some(reason.as_str()), Some(*next_attempt_at)),
        ParkedState::Exhausted | ParkedState::Rejected | ParkedState::Quarantined => (None, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_not_known_is_named_with_its_place() {
        let error = Table("attempts").outcome("lost").unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"attempts.outcome holds "lost", which this relay does not know"#
        );
    }

    #[test]
    fn a_parked_state_needs_its_reason_and_due_time_and_the_others_have_none() {
        let table = Table("parked");
        let due = Some(Timestamp::UNIX_EPOCH);
        assert!(table.parked_state("parked", Some("retry"), due).is_ok());
        assert!(table.parked_state("parked", None, due).is_err());
        assert!(table.parked_state("rejected", None, None).is_ok());
        assert!(table.parked_state("rejected", None, due).is_err());
    }
}
